//! A request's head as routing sees it.

use std::borrow::Cow;

use meltemi_policy::route::Request;

use crate::http::head::RequestHead;
use crate::http::known::Known;

/// A request to a port of a service.
pub(crate) struct View<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) port: u16,
}

impl Request for View<'_> {
    fn method(&self) -> &[u8] {
        self.head.method()
    }

    fn path(&self) -> &[u8] {
        self.head.target()
    }

    fn authority(&self) -> &[u8] {
        self.head.authority()
    }

    fn scheme(&self) -> &[u8] {
        self.head.fields.find(Known::ForwardedProto).unwrap_or(b"http")
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let pseudo = match name {
            ":method" => Some(self.method()),
            ":path" => Some(self.path()),
            ":scheme" => Some(self.scheme()),
            ":authority" | "host" => Some(self.authority()),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Some(value.into());
        }
        let fields = &self.head.fields;
        let mut values = fields
            .iter()
            .filter(|(_, own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, _, value)| value);
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(first.into()) };
        let mut joined = [first, b",", second].concat();
        for value in values {
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Some(joined.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_several_lines_are_joined_and_names_are_without_case() {
        let mut head = RequestHead::default();
        for (name, value) in [("X-A", "1"), ("x-b", "2"), ("x-a", "3"), ("X-A", "")] {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        let view = View { head: &head, port: 80 };
        let header = |name| view.header(name).map(|it| String::from_utf8_lossy(&it).into_owned());
        assert_eq!(header("x-a").as_deref(), Some("1,3,"));
        assert_eq!(header("x-b").as_deref(), Some("2"));
        assert_eq!(header("x-c"), None);
        assert_eq!(header(":scheme").as_deref(), Some("http"));
    }
}
