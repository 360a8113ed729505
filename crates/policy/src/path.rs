//! Paths in the one form in which they are judged, routed and passed on: Istio's path normalisation
//! (<https://istio.io/latest/docs/reference/config/security/normalization/>; RFC 3986, section 6).
//!
//! A path that was normalised stays as it is when it is normalised again, so that two proxies on the way see the same.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far paths are brought into one form (Istio's `meshConfig.pathNormalization.normalization`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Normalization {
    /// Not at all.
    None,
    /// `\` becomes `/`, letters that need no escape lose theirs, `.` and `..` are gone.
    Base,
    /// And several `/` become one.
    #[default]
    MergeSlashes,
    /// And `%2F` and `%5C` become `/` before that.
    DecodeAndMergeSlashes,
}

/// The text is no level of normalisation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is none of NONE, BASE, MERGE_SLASHES and DECODE_AND_MERGE_SLASHES")]
pub struct UnknownNormalization(pub String);

impl std::str::FromStr for Normalization {
    type Err = UnknownNormalization;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "NONE" => Ok(Normalization::None),
            "BASE" => Ok(Normalization::Base),
            "MERGE_SLASHES" => Ok(Normalization::MergeSlashes),
            "DECODE_AND_MERGE_SLASHES" => Ok(Normalization::DecodeAndMergeSlashes),
            other => Err(UnknownNormalization(other.into())),
        }
    }
}

/// Why a path has no form in which it could be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unclear {
    /// A fragment is for the caller alone and never sent (RFC 9110, section 4.2.5).
    #[error("the path has a fragment (`#`)")]
    Fragment,
    /// A text in C ends there.
    #[error("the path has an escaped NUL (`%00`)")]
    Nul,
    /// Escapes that become other escapes.
    #[error("the path has escapes of escapes")]
    Nested,
}

/// How often escapes may come out of escapes.
const MAX_PASSES: usize = 3;

/// Normalises the path of a target, which may have a query; `None` if it is normal already.
pub fn normalize(target: &[u8], how: Normalization) -> Result<Option<Vec<u8>>, Unclear> {
    if how == Normalization::None || target.first() != Some(&b'/') {
        return Ok(None);
    }
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    if target[end..].contains(&b'#') {
        return Err(Unclear::Fragment);
    }
    let (path, query) = target.split_at(end);
    if is_plain(path) {
        return Ok(None);
    }
    let mut normal = pass(path, how)?;
    for _ in 1..MAX_PASSES {
        if is_plain(&normal) {
            break;
        }
        let next = pass(&normal, how)?;
        if next == normal {
            break;
        }
        normal = next;
    }
    if !is_plain(&normal) && pass(&normal, how)? != normal {
        return Err(Unclear::Nested);
    }
    if normal == path {
        return Ok(None);
    }
    normal.extend_from_slice(query);
    Ok(Some(normal))
}

/// Whether a path has nothing that normalisation looks at.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for byte in path {
        let is_after_slash = before == b'/' && matches!(byte, b'/' | b'.');
        if matches!(byte, b'%' | b'\\') || is_after_slash {
            return false;
        }
        before = *byte;
    }
    true
}

fn pass(path: &[u8], how: Normalization) -> Result<Vec<u8>, Unclear> {
    let decoded = decode(path, how == Normalization::DecodeAndMergeSlashes)?;
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut ends_in_slash = false;
    for part in decoded[1..].split(|byte| *byte == b'/') {
        ends_in_slash = true;
        match part {
            b"." => {}
            b".." => drop(parts.pop()),
            part => {
                parts.push(part);
                ends_in_slash = false;
            }
        }
    }
    if ends_in_slash {
        parts.push(b"");
    }
    if how != Normalization::Base {
        let last = parts.len().saturating_sub(1);
        let mut index = 0;
        parts.retain(|part| {
            index += 1;
            !part.is_empty() || index > last
        });
    }
    let mut normal = Vec::with_capacity(decoded.len());
    for part in parts {
        normal.push(b'/');
        normal.extend_from_slice(part);
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    Ok(normal)
}

/// Takes escapes off that need not be there (RFC 3986, section 6.2.2.2), and makes `/` of `\`.
fn decode(path: &[u8], decodes_slashes: bool) -> Result<Vec<u8>, Unclear> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match escaped {
            None if *first == b'\\' => decoded.push(b'/'),
            None => decoded.push(*first),
            Some(0) => return Err(Unclear::Nul),
            Some(byte) => {
                rest = &after[2..];
                match byte {
                    b'/' | b'\\' if decodes_slashes => decoded.push(b'/'),
                    byte if is_unreserved(byte) => decoded.push(byte),
                    _ => decoded.extend_from_slice(&[b'%', after[0], after[1]]),
                }
            }
        }
    }
    Ok(decoded)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Normalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None as Off};
    use super::*;

    fn normal(path: &str, how: Normalization) -> String {
        let normal = normalize(path.as_bytes(), how).unwrap();
        normal.map_or(path.into(), |it| String::from_utf8(it).unwrap())
    }

    #[test]
    fn paths_take_the_form_of_each_level() {
        for (path, base, merged, decoded) in [
            ("/a/b", "/a/b", "/a/b", "/a/b"),
            ("/", "/", "/", "/"),
            ("//", "//", "/", "/"),
            ("/a//b", "/a//b", "/a/b", "/a/b"),
            ("/a///b//", "/a///b//", "/a/b/", "/a/b/"),
            ("/a/./b", "/a/b", "/a/b", "/a/b"),
            ("/a/x/../b", "/a/b", "/a/b", "/a/b"),
            ("/../../a", "/a", "/a", "/a"),
            ("/a/..", "/", "/", "/"),
            ("/a/b/..", "/a/", "/a/", "/a/"),
            ("/a/.", "/a/", "/a/", "/a/"),
            ("/a/x/%2e%2e/b", "/a/b", "/a/b", "/a/b"),
            ("/a/x/.%2E/b", "/a/b", "/a/b", "/a/b"),
            ("/%61dmin", "/admin", "/admin", "/admin"),
            ("/a%20b", "/a%20b", "/a%20b", "/a%20b"),
            ("/a\\b", "/a/b", "/a/b", "/a/b"),
            ("/a\\..\\b", "/b", "/b", "/b"),
            ("/a%2fb", "/a%2fb", "/a%2fb", "/a/b"),
            ("/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"),
            ("/a%2F..%2fb", "/a%2F..%2fb", "/a%2F..%2fb", "/b"),
            ("/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"),
            ("/a%", "/a%", "/a%", "/a%"),
            ("/a%zz", "/a%zz", "/a%zz", "/a%zz"),
            ("/.a/..b/...", "/.a/..b/...", "/.a/..b/...", "/.a/..b/..."),
            ("/a//../b", "/a/b", "/a/b", "/a/b"),
            ("/a/..?x=/../b//c", "/?x=/../b//c", "/?x=/../b//c", "/?x=/../b//c"),
            ("/a%3fb", "/a%3fb", "/a%3fb", "/a%3fb"),
            // One escape comes out of others.
            ("/x/%2%65%2%65/b", "/b", "/b", "/b"),
            ("*", "*", "*", "*"),
        ] {
            assert_eq!(normal(path, Off), path);
            assert_eq!(normal(path, Base), base, "BASE {path}");
            assert_eq!(normal(path, MergeSlashes), merged, "MERGE_SLASHES {path}");
            assert_eq!(normal(path, DecodeAndMergeSlashes), decoded, "DECODE {path}");
        }
    }

    #[test]
    fn what_has_no_clear_form_is_refused() {
        for (path, why) in [
            ("/a#b", Unclear::Fragment),
            ("/a?b#c", Unclear::Fragment),
            ("/a%00b", Unclear::Nul),
            ("/%3%3%3%3%3%3%36", Unclear::Nested),
        ] {
            assert_eq!(normalize(path.as_bytes(), MergeSlashes), Err(why), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_normal_stays_as_it_is(path in "/[a2-6./%\\\\ef;]{0,24}") {
            for how in [Base, MergeSlashes, DecodeAndMergeSlashes] {
                if let Ok(Some(normal)) = normalize(path.as_bytes(), how) {
                    prop_assert_eq!(normalize(&normal, how), Ok(None), "{}", String::from_utf8_lossy(&normal));
                    let parts: Vec<&[u8]> = normal.split(|byte| *byte == b'/').collect();
                    prop_assert!(!parts.contains(&&b".."[..]) && !parts.contains(&&b"."[..]));
                }
            }
        }
    }
}
