//! Host names of the mesh: what is a name, and which service a short one means.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A lower-case host name or IP literal without port and trailing dot. May start with `*.` or be
/// `*` where Istio allows wildcards. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

impl Host {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `*` or starts with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether this name, wildcard or not, covers the given plain name. `*.a.b` covers `x.a.b` and
    /// `y.x.a.b`, not `a.b` (Istio, VirtualService hosts).
    pub fn covers(&self, name: &str) -> bool {
        match self.0.strip_prefix('*') {
            None => &*self.0 == name,
            Some("") => true,
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// Reads a name, folds case and drops one trailing dot.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain = name.strip_prefix("*.").unwrap_or(&name);
        let ip = plain.trim_start_matches('[').trim_end_matches(']');
        let fits = name == "*" || is_lookup_name(plain) || ip.parse::<std::net::IpAddr>().is_ok();
        if !fits {
            return Err(HostError(text.into()));
        }
        Ok(Host(name.into()))
    }
}

/// The text is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a host name: labels of letters, digits, `-` and `_` (at most 63 each, 253 in all) parted by dots, an optional leading `*.`"
)]
pub struct HostError(pub String);

/// A name as clients look it up: labels may hold `_` (SRV) besides what RFC 1123 allows.
fn is_lookup_name(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    !name.is_empty() && name.len() <= 253 && name.split('.').all(label)
}

/// Whether the text is a DNS label of RFC 1123 as Kubernetes asks of names of services and
/// namespaces: lower-case letters, digits and `-`, at most 63, no `-` at either end.
pub fn is_dns_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether the text is a DNS subdomain of RFC 1123 as Kubernetes asks of most names: labels parted
/// by dots, at most 253 bytes.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Whether a peer can connect to an address: one machine has it, unlike the unspecified one, multicast and broadcast (RFC 6890, RFC
/// 5771, RFC 919).
pub fn is_peer_address(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

/// The full host name of a service: `NAME.NAMESPACE.SUFFIX`.
pub fn service_host(name: &str, namespace: &str, suffix: &str) -> String {
    format!("{name}.{namespace}.{suffix}")
}

/// Istio's reading of a host in a resource: a name without dots is a service of the resource's own
/// namespace, anything else is taken as it stands.
pub fn expand_host(host: &str, namespace: &str, suffix: &str) -> String {
    if host == "*" || host.contains('.') {
        host.to_ascii_lowercase()
    } else {
        service_host(&host.to_ascii_lowercase(), namespace, suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        for (text, expected) in [
            ("Hello", Some("hello")),
            ("hello.default.svc.cluster.local.", Some("hello.default.svc.cluster.local")),
            ("*.Example.com", Some("*.example.com")),
            ("*", Some("*")),
            ("_http._tcp.x", Some("_http._tcp.x")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("", None),
            ("a..b", None),
            ("-a", None),
            ("a*b", None),
            ("a b", None),
            ("a/b", None),
        ] {
            let read = text.parse::<Host>().ok();
            assert_eq!(read.as_ref().map(Host::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_wildcard_covers_what_lies_below_it() {
        let wildcard: Host = "*.example.com".parse().unwrap();
        assert!(wildcard.covers("a.example.com"));
        assert!(wildcard.covers("b.a.example.com"));
        assert!(!wildcard.covers("example.com"));
        assert!(!wildcard.covers("aexample.com"));
        assert!("*".parse::<Host>().unwrap().covers("anything"));
    }

    #[test]
    fn short_names_belong_to_the_resources_namespace() {
        let suffix = "svc.cluster.local";
        assert_eq!(expand_host("reviews", "shop", suffix), "reviews.shop.svc.cluster.local");
        assert_eq!(expand_host("reviews.other", "shop", suffix), "reviews.other");
    }
}
