//! Rewrites of paths in their compiled form.

use regex::bytes::{Captures, Regex};

use super::error::{Flaw, check_target};
use super::paths::PathKind;
use super::pattern::{PatternError, compile_parts};
use super::request::split_path;
use super::rule::PathRewrite;

/// How a path is changed.
#[derive(Debug)]
pub(super) enum PathRewriter {
    Prefix(Box<str>),
    Full(Box<str>),
    Parts(Box<Regex>, Box<[Piece]>),
}

/// A piece of what stands in place of a matched part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

impl PathRewriter {
    pub(super) fn compile(rule: &PathRewrite) -> Result<PathRewriter, Flaw> {
        Ok(match rule {
            PathRewrite::Prefix(text) => {
                check_target("uri", text)?;
                PathRewriter::Prefix(text.as_str().into())
            }
            PathRewrite::Full(text) => {
                check_target("uri", text)?;
                PathRewriter::Full(text.as_str().into())
            }
            PathRewrite::Regex { pattern, rewrite } => {
                check_target("uriRegexRewrite.rewrite", rewrite)?;
                let at = |error| Flaw::new("uriRegexRewrite", error);
                let regex = compile_parts(pattern).map_err(at)?;
                let pieces = parse(pattern, rewrite, regex.captures_len()).map_err(at)?;
                PathRewriter::Parts(regex.into(), pieces)
            }
        })
    }

    /// Puts the changed path with the query of `path` after what `out` has.
    pub(super) fn rewrite(&self, path: &[u8], kind: PathKind, out: &mut Vec<u8>) {
        let (plain, query) = split_path(path);
        self.rewrite_plain(plain, kind, out);
        out.extend_from_slice(query);
    }

    /// As `rewrite`, unless the new path has a query of its own.
    pub(super) fn redirect(&self, path: &[u8], kind: PathKind, out: &mut Vec<u8>) {
        match self {
            PathRewriter::Full(text) if text.contains('?') => {
                out.extend_from_slice(text.as_bytes());
            }
            _ => self.rewrite(path, kind, out),
        }
    }

    fn rewrite_plain(&self, plain: &[u8], kind: PathKind, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            PathRewriter::Full(text) => out.extend_from_slice(text.as_bytes()),
            PathRewriter::Prefix(text) => {
                let (text, rest) = in_place_of_prefix(text.as_bytes(), plain, kind);
                out.extend_from_slice(text);
                out.extend_from_slice(rest);
            }
            PathRewriter::Parts(regex, pieces) => {
                let mut done = 0;
                for captures in regex.captures_iter(plain) {
                    let all = captures.get_match();
                    out.extend_from_slice(&plain[done..all.start()]);
                    done = all.end();
                    put(pieces, &captures, out);
                }
                out.extend_from_slice(&plain[done..]);
            }
        }
        // A path is never empty and always absolute, whatever a rule makes of it.
        if out.get(start) != Some(&b'/') {
            out.insert(start, b'/');
        }
    }
}

/// What stands in place of the part that a match took, and the rest of the path.
fn in_place_of_prefix<'p>(text: &'p [u8], plain: &'p [u8], kind: PathKind) -> (&'p [u8], &'p [u8]) {
    match kind {
        PathKind::Exact | PathKind::Regex => (text, &[]),
        PathKind::Any => (text, plain.strip_prefix(b"/").unwrap_or(plain)),
        PathKind::Prefix(length) => (text, plain.get(length as usize..).unwrap_or_default()),
        PathKind::Segments(length) => {
            // The rest is empty or starts with a slash, so that one of its own is one too many.
            let rest = plain.get(length as usize..).unwrap_or_default();
            match rest.is_empty() {
                true => (text, rest),
                false => (text.strip_suffix(b"/").unwrap_or(text), rest),
            }
        }
    }
}

fn put(pieces: &[Piece], captures: &Captures<'_>, out: &mut Vec<u8>) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Group(group) => {
                if let Some(part) = captures.get(*group) {
                    out.extend_from_slice(part.as_bytes());
                }
            }
        }
    }
}

/// Whether a text can stand in place of the parts of a path that an expression matches.
///
/// # Errors
/// What is wrong with either.
pub fn check_replacement(pattern: &str, rewrite: &str) -> Result<(), PatternError> {
    let regex = compile_parts(pattern)?;
    parse(pattern, rewrite, regex.captures_len()).map(drop)
}

/// Reads RE2's form of what stands in place of a matched part: `\0` to `\9` for groups, `\\` for a backslash.
fn parse(pattern: &str, rewrite: &str, groups: usize) -> Result<Box<[Piece]>, PatternError> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut bytes = rewrite.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'\\') => text.push(b'\\'),
            Some(digit @ b'0'..=b'9') => {
                let group = usize::from(digit - b'0');
                if group >= groups {
                    return Err(PatternError::NoGroup {
                        rewrite: rewrite.into(),
                        pattern: pattern.into(),
                        group,
                        count: groups - 1,
                    });
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Group(group));
            }
            _ => return Err(PatternError::Escape { rewrite: rewrite.into() }),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces.into())
}
