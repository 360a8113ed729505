//! Patterns for texts: exact, prefix (`abc*`), suffix (`*abc`), presence (`*`).

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Present,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
}

impl Pattern {
    /// Reads a pattern as Istio does: a `*` at the beginning counts before one at the end, any other stands for itself.
    pub(super) fn parse(text: &str) -> Pattern {
        if text == "*" {
            return Pattern::Present;
        }
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(suffix), _) => Pattern::Suffix(suffix.as_bytes().into()),
            (None, Some(prefix)) => Pattern::Prefix(prefix.as_bytes().into()),
            (None, None) => Pattern::Exact(text.as_bytes().into()),
        }
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Present => true,
            Pattern::Exact(exact) => text == &**exact,
            Pattern::Prefix(prefix) => text.starts_with(prefix),
            Pattern::Suffix(suffix) => text.ends_with(suffix),
        }
    }
}

/// Beyond so many exact texts they are searched by halves.
const FEW: usize = 8;

/// Patterns of which one must match.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns {
    /// Sorted.
    exact: Box<[Box<[u8]>]>,
    others: Box<[Pattern]>,
}

impl Patterns {
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Patterns {
        let (mut exact, mut others) = (Vec::new(), Vec::new());
        for text in texts {
            match Pattern::parse(text) {
                Pattern::Exact(text) => exact.push(text),
                other => others.push(other),
            }
        }
        exact.sort_unstable();
        exact.dedup();
        Patterns { exact: exact.into(), others: others.into() }
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let is_exact = match self.exact.len() {
            ..=FEW => self.exact.iter().any(|exact| **exact == *text),
            _ => self.exact.binary_search_by(|exact| (**exact).cmp(text)).is_ok(),
        };
        is_exact || self.others.iter().any(|other| other.matches(text))
    }

    /// As [`Patterns::matches`] of patterns in lower case, without regard to the text's case.
    pub(super) fn matches_folded(&self, text: &[u8]) -> bool {
        let end = |length: usize| text.len().checked_sub(length).map(|start| &text[start..]);
        self.exact.iter().any(|exact| exact.eq_ignore_ascii_case(text))
            || self.others.iter().any(|other| match other {
                Pattern::Present => true,
                Pattern::Exact(exact) => exact.eq_ignore_ascii_case(text),
                Pattern::Prefix(prefix) => {
                    text.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
                }
                Pattern::Suffix(suffix) => {
                    end(suffix.len()).is_some_and(|it| it.eq_ignore_ascii_case(suffix))
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_more_at_one_end() {
        for (pattern, text, expected) in [
            ("*", "a", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*b", "a*b", true),
            ("a*b", "axb", false),
            ("*a*", "xa*", true),
            ("*a*", "xax", false),
        ] {
            assert_eq!(
                Patterns::new([pattern]).matches(text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_exact_texts_are_found_as_few_are() {
        let texts: Vec<String> = (0..100).map(|number| format!("text{number}")).collect();
        let patterns = Patterns::new(texts.iter().map(String::as_str));
        assert!(texts.iter().all(|text| patterns.matches(text.as_bytes())));
        assert!(!patterns.matches(b"text100") && !patterns.matches(b"text"));
    }

    #[test]
    fn folded_texts_match_at_either_end() {
        for (pattern, text, expected) in [
            ("a.example.com", "A.Example.com", true),
            ("*.example.com", "X.EXAMPLE.COM", true),
            ("*.example.com", "COM", false),
            ("a.*", "A.b", true),
            ("a.*", "b", false),
        ] {
            let patterns = Patterns::new([pattern]);
            assert_eq!(patterns.matches_folded(text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
