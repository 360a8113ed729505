//! The application protocols between two proxies (ALPN, RFC 7301).
//!
//! On those with our own prefix the connecting proxy first says who it is for metrics (see [`super::tls`]); the others
//! serve proxies that do not know that.

use meltemi_identity::AlpnPlan;

/// HTTP/1.1 between two of our proxies.
pub(crate) const HTTP1: &[u8] = b"meltemi-http/1.1";
/// HTTP/2 between two of our proxies.
pub(crate) const HTTP2: &[u8] = b"meltemi-h2";
/// Bytes between two of our proxies.
pub(crate) const TCP: &[u8] = b"meltemi-tcp";

/// What is spoken inside of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inner {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Bytes.
    Tcp,
}

impl Inner {
    /// The index of its client configuration in [`plan`].
    pub(crate) fn client(self) -> usize {
        match self {
            Inner::Http1 => 0,
            Inner::Http2 => 1,
            Inner::Tcp => 2,
        }
    }

    /// What a negotiated protocol stands for; `None` if nothing was negotiated.
    pub(crate) fn of(alpn: &[u8]) -> Option<Inner> {
        Some(match alpn {
            HTTP1 | b"istio-http/1.1" | b"istio-http/1.0" | b"http/1.1" => Inner::Http1,
            HTTP2 | b"istio-h2" | b"h2" => Inner::Http2,
            TCP | b"istio" => Inner::Tcp,
            _ => return None,
        })
    }

    /// Whether a proxy of a mesh asks for it, ours or Istio's (`istio-peer-exchange` stands before others in its lists).
    pub(crate) fn is_of_mesh(alpn: &[u8]) -> bool {
        Inner::has_metadata(alpn) || alpn == b"istio" || alpn.starts_with(b"istio-")
    }

    /// Whether the caller begins with its metadata.
    pub(crate) fn has_metadata(alpn: &[u8]) -> bool {
        matches!(alpn, HTTP1 | HTTP2 | TCP)
    }
}

/// The index, among the clients of [`plan`], of the configuration for the control plane's channel (gRPC).
pub const CONTROL_PLANE: usize = 3;

/// The protocols of a proxy's TLS configurations.
pub fn plan() -> AlpnPlan {
    let list = |names: &[&[u8]]| names.iter().map(|name| name.to_vec()).collect();
    AlpnPlan {
        server: list(&[
            HTTP2,
            HTTP1,
            TCP,
            b"istio-h2",
            b"istio-http/1.1",
            b"istio-http/1.0",
            b"istio",
            b"h2",
            b"http/1.1",
        ]),
        clients: vec![
            list(&[HTTP1, b"istio-http/1.1", b"http/1.1"]),
            list(&[HTTP2, b"istio-h2", b"h2"]),
            list(&[TCP, b"istio"]),
            list(&[b"h2"]),
        ],
    }
}
