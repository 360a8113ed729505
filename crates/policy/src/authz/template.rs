//! Templates of paths: `{*}` for one part, `{**}` for any that follow, as Istio has them of Envoy's URI templates
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/path/match/uri_template/v3/uri_template_match.proto>).

/// A template.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(Box<[u8]>),
    /// `{*}`
    One,
    /// `{**}`; nothing but a literal may follow.
    Rest,
}

impl Template {
    /// Whether a path of a policy is a template.
    pub(super) fn is_one(text: &str) -> bool {
        text.contains("{*}") || text.contains("{**}")
    }

    /// Reads a template; `None` if it is none that has a meaning.
    pub(super) fn parse(text: &str) -> Option<Template> {
        let (mut pieces, mut literal) = (Vec::new(), String::new());
        let mut is_open_ended = false;
        for (index, part) in text.split('/').enumerate() {
            if index > 0 {
                literal.push('/');
            }
            let operator = match part {
                "{*}" => Piece::One,
                "{**}" => Piece::Rest,
                part if part.contains(['*', '{', '}']) => return None,
                part => {
                    literal.push_str(part);
                    continue;
                }
            };
            if is_open_ended {
                return None;
            }
            is_open_ended = matches!(operator, Piece::Rest);
            pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes().into()));
            pieces.push(operator);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into_bytes().into()));
        }
        Some(Template { pieces: pieces.into() })
    }

    /// How every path begins that it matches.
    pub(super) fn start(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Literal(literal)) => literal,
            _ => b"",
        }
    }

    /// How every path ends that it matches.
    pub(super) fn end(&self) -> &[u8] {
        match self.pieces.last() {
            Some(Piece::Literal(literal)) => literal,
            _ => b"",
        }
    }

    /// Whether it matches all of a path. `is_generous`: an operator stands for any letter, not only for those that may stand
    /// in a path.
    pub(super) fn matches(&self, path: &[u8], is_generous: bool) -> bool {
        let is_letter = |byte: &u8| is_generous || is_of_part(*byte);
        let mut rest = path;
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => match rest.strip_prefix(&**literal) {
                    Some(after) => rest = after,
                    None => return false,
                },
                Piece::One => {
                    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                    let (part, after) = rest.split_at(end);
                    if part.is_empty() || !part.iter().all(is_letter) {
                        return false;
                    }
                    rest = after;
                }
                Piece::Rest => {
                    let end: &[u8] = match self.pieces.get(index + 1) {
                        Some(Piece::Literal(literal)) => literal,
                        _ => b"",
                    };
                    let Some(middle) = rest.strip_suffix(end) else { return false };
                    return middle.iter().all(|byte| *byte == b'/' || is_letter(byte));
                }
            }
        }
        rest.is_empty()
    }
}

/// What may stand in a part of a path without being escaped, and `%` (RFC 3986, section 3.3; Envoy's templates know no `*`).
fn is_of_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_stand_for_parts() {
        for (template, path, expected) in [
            ("/foo/{*}", "/foo/bar", true),
            ("/foo/{*}", "/foo/bar/baz", false),
            ("/foo/{*}", "/foo/", false),
            ("/foo/{*}", "/foo", false),
            ("/foo/{**}/", "/foo/bar/", true),
            ("/foo/{**}/", "/foo//", true),
            ("/foo/{**}/", "/foo/bar", false),
            ("/foo/{*}/bar/{**}", "/foo/buzz/bar/", true),
            ("/foo/{*}/bar/{**}", "/foo/buzz/bar/baz", true),
            ("/foo/{*}/bar/{**}", "/foo/buzz/bar/baz/x/y", true),
            ("/foo/{*}/bar/{**}", "/foo/buzz/bar", false),
            ("/foo/{*}/bar/{**}", "/foo/a/b/bar/baz", false),
            ("/{**}", "/", true),
            ("/{*}/{*}", "/a/b", true),
            ("/{*}/{*}", "/a", false),
            ("/v1/{**}/edit", "/v1/a/b/edit", true),
            ("/v1/{**}/edit", "/v1/a/b", false),
            ("/v1/{**}/edit", "/v1/edit", false),
        ] {
            let parsed = Template::parse(template).unwrap();
            assert_eq!(parsed.matches(path.as_bytes(), false), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_stands_in_no_path_is_matched_where_it_refuses() {
        let template = Template::parse("/a/{*}").unwrap();
        assert!(!template.matches(b"/a/<b>", false));
        assert!(template.matches(b"/a/<b>", true));
    }

    #[test]
    fn others_are_no_templates() {
        for text in ["/{**}/foo/{*}", "/foo/{*}.txt", "/*/baz/{*}", "/**/baz/{*}", "/{**}/{**}"] {
            assert!(Template::parse(text).is_none(), "{text}");
        }
    }
}
