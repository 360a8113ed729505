//! What an authorizer outside has said, whatever protocol it spoke, and what follows from it for messages.

use crate::http::head::{Fields, RequestHead};
use crate::http::known::Known;

/// How many headers an answer may change: more is no answer.
pub(super) const MOST_CHANGES: usize = 128;

/// What an authorizer has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The request passes.
    Allow(Allowed),
    /// It does not.
    Deny(Denied),
    /// It cannot say (Envoy's `error_response`); this is what callers get unless such requests pass.
    Error(Denied),
}

/// What goes with a permission.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Headers for the application, in their order.
    pub(super) request: Vec<Change>,
    /// Headers that the application is not to see.
    pub(super) remove: Vec<Vec<u8>>,
    /// Parameters of the query.
    pub(super) set_query: Vec<(String, String)>,
    pub(super) remove_query: Vec<String>,
    /// Headers for the caller, with the application's answer.
    pub(super) response: Vec<Change>,
}

/// What callers get instead of an answer of the application.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Denied {
    /// `None` where it is not said.
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<Change>,
    pub(super) body: Vec<u8>,
}

/// A header that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    name: Vec<u8>,
    value: Vec<u8>,
    how: How,
}

/// How it is changed (Envoy's `HeaderAppendAction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Another line of it.
    Add,
    /// Only where there is none.
    AddIfAbsent,
    /// Instead of those that are there.
    Set,
    /// The same, only where there is one.
    SetIfPresent,
}

impl Change {
    /// `None` if HTTP cannot carry it.
    pub(super) fn new(name: &[u8], value: &[u8], how: How) -> Option<Change> {
        let is_carried = http::HeaderName::from_bytes(name.strip_prefix(b":").unwrap_or(name))
            .is_ok()
            && http::HeaderValue::from_bytes(value).is_ok();
        is_carried.then(|| Change { name: name.to_ascii_lowercase(), value: value.into(), how })
    }

    fn apply(&self, fields: &mut Fields) {
        if is_protected(&self.name) {
            return;
        }
        let is_there = || fields.find_name(&self.name).is_some();
        match self.how {
            How::AddIfAbsent if is_there() => return,
            How::SetIfPresent if !is_there() => return,
            How::Set | How::SetIfPresent => fields.remove_name(&self.name),
            How::Add | How::AddIfAbsent => {}
        }
        fields.push(&self.name, &self.value);
    }
}

/// Makes changes, in their order.
pub(super) fn apply(changes: &[Change], fields: &mut Fields) {
    changes.iter().for_each(|change| change.apply(fields));
}

/// What says where a message ends or goes, and what only proxies say to each other: no authorizer changes it.
fn is_protected(name: &[u8]) -> bool {
    let known = Known::of(name);
    name.starts_with(b":")
        || known.is_hop_by_hop()
        || matches!(
            known,
            Known::Host | Known::ContentLength | Known::NotAnswered | Known::DeniedBy
        )
}

impl Allowed {
    /// Makes the request what the application is to see. As with Envoy headers are removed last.
    pub(super) fn change(&self, head: &mut RequestHead) {
        apply(&self.request, &mut head.fields);
        for name in self.remove.iter().filter(|name| !is_protected(name)) {
            head.fields.remove_name(name);
        }
        if !self.set_query.is_empty() || !self.remove_query.is_empty() {
            let target = self.with_query(head.target());
            head.set_target(&target);
        }
    }

    /// A path with its query changed. Parameters are compared as they are meant, and the others stay as they are written.
    fn with_query(&self, target: &[u8]) -> Vec<u8> {
        let split = target.iter().position(|byte| *byte == b'?');
        let (path, query) = match split {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, &b""[..]),
        };
        let is_changed = |pair: &[u8]| {
            let name = decoded(pair.split(|byte| *byte == b'=').next().unwrap_or_default());
            let set = self.set_query.iter().map(|(name, _)| name);
            set.chain(&self.remove_query).any(|it| it.as_bytes() == name)
        };
        let kept = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let mut pairs: Vec<Vec<u8>> =
            kept.filter(|pair| !is_changed(pair)).map(<[u8]>::to_vec).collect();
        let removed = |name: &String| self.remove_query.contains(name);
        for (name, value) in self.set_query.iter().filter(|(name, _)| !removed(name)) {
            pairs.push([encoded(name), encoded(value)].join(&b'='));
        }
        match pairs.is_empty() {
            true => path.to_vec(),
            false => [path, &pairs.join(&b'&')].join(&b'?'),
        }
    }
}

/// A part of a query without its escapes (`application/x-www-form-urlencoded`).
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let escaped = digits
            .filter(|it| *first == b'%' && it.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        match escaped {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    decoded
}

/// A part of a query with what is not its own escaped.
fn encoded(text: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte),
            byte => encoded.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, value: &str, how: How) -> Change {
        Change::new(name.as_bytes(), value.as_bytes(), how).unwrap()
    }

    fn head(target: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::default();
        head.set_target(target.as_bytes());
        for (name, value) in fields {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn text(fields: &Fields) -> Vec<String> {
        let line = |(_, name, value): (_, &[u8], &[u8])| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        fields.iter().map(line).collect()
    }

    #[test]
    fn headers_change_as_envoy_says_and_framing_never() {
        let mut head = head("/", &[("X-A", "1"), ("x-b", "1"), ("content-length", "3")]);
        let allowed = Allowed {
            request: vec![
                change("x-a", "2", How::Set),
                change("x-b", "2", How::Add),
                change("x-b", "3", How::AddIfAbsent),
                change("x-c", "1", How::AddIfAbsent),
                change("x-d", "1", How::SetIfPresent),
                change("x-e", "1", How::Set),
                change("Host", "evil", How::Set),
                change(":path", "/evil", How::Set),
                change("content-length", "9", How::Set),
                change("transfer-encoding", "chunked", How::Add),
                change("x-meltemi-not-answered", "1", How::Add),
                change("x-meltemi-denied-by", "another", How::Add),
            ],
            remove: vec![b"X-E".to_vec(), b"content-length".to_vec(), b":method".to_vec()],
            ..Allowed::default()
        };
        allowed.change(&mut head);
        let expected = ["x-b: 1", "content-length: 3", "x-a: 2", "x-b: 2", "x-c: 1"];
        assert_eq!(text(&head.fields), expected);
        assert_eq!(head.target(), b"/");
    }

    #[test]
    fn what_http_cannot_carry_is_no_change() {
        for (name, value) in
            [("", "a"), ("a b", "c"), ("a\r\nb", "c"), ("a", "b\r\nc: d"), ("a", "\0")]
        {
            assert_eq!(Change::new(name.as_bytes(), value.as_bytes(), How::Set), None, "{name:?}");
        }
    }

    #[test]
    fn parameters_of_a_query_are_set_and_removed() {
        let set = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        for (target, set_query, remove, expected) in [
            ("/a", set(&[("b", "c d")]), vec![], "/a?b=c%20d"),
            ("/a?b=1&c=2&b=3", set(&[("b", "4")]), vec![], "/a?c=2&b=4"),
            ("/a?%62=1&c", set(&[]), vec!["b".to_owned()], "/a?c"),
            ("/a?b=1", set(&[]), vec!["b".to_owned()], "/a"),
            ("/a?x+y=1&z=%zz&&", set(&[]), vec!["x y".to_owned()], "/a?z=%zz"),
            ("/a?é=1", set(&[("é", "&")]), vec![], "/a?%C3%A9=%26"),
        ] {
            let mut head = head(target, &[]);
            let allowed = Allowed { set_query, remove_query: remove, ..Allowed::default() };
            allowed.change(&mut head);
            assert_eq!(String::from_utf8_lossy(head.target()), expected);
        }
    }
}
