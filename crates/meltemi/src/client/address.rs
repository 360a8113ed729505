//! Where the API is: `https://HOST:PORT`, or `http://HOST:PORT` on its own machine.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use meltemi_names::ports;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address; an IPv6 one without brackets.
    host: String,
    port: u16,
    secure: bool,
}

impl Address {
    /// As it stands in a `Host` header.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Whether it is asked over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same place, asked over TLS.
    #[must_use]
    pub fn secured(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Whether both are the same host and port, however they are asked.
    pub fn is_place_of(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }

    /// As sockets take it.
    pub(super) fn pair(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port(), secure: false }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`; without a scheme it is the former.
    fn from_str(text: &str) -> Result<Self, String> {
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!("{scheme:?} is not a scheme of the API: use https or http"));
            }
            None => (false, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest
            .parse()
            .map_err(|_| format!("{text:?} is not an address: use http://HOST:PORT"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // What `Authority::port` makes of a number that is no port cannot be told from none.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" => ports::API,
            given => given
                .trim_start_matches(':')
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("{given} is not a port: use 1 to 65535"))?,
        };
        if host.is_empty() || rest.contains(['@', '/']) {
            return Err(format!("{text:?} is not an address: use http://HOST:PORT"));
        }
        Ok(Self { host: host.to_owned(), port, secure })
    }
}

/// A text as it may stand within a path or a query (RFC 3986: all but the unreserved characters escaped).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("http://127.0.0.1:15080", "http://127.0.0.1:15080"),
            ("http://127.0.0.1:15080/", "http://127.0.0.1:15080"),
            ("127.0.0.1:81", "http://127.0.0.1:81"),
            ("http://localhost", "http://localhost:15080"),
            ("[::1]:15080", "http://[::1]:15080"),
            ("https://mesh.example.com", "https://mesh.example.com:15080"),
        ] {
            assert_eq!(text.parse::<Address>().map(|it| it.to_string()).as_deref(), Ok(expected));
        }
        for bad in
            ["", "http://", "ftp://a", "a:0", "a:70000", "a:b", "http://a:1/path", "u@a:1", "a b"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_reserved_is_escaped() {
        assert_eq!(escape("a-b_c.d~1"), "a-b_c.d~1");
        assert_eq!(escape("app in (a, b)/é"), "app%20in%20%28a%2C%20b%29%2F%C3%A9");
    }
}
