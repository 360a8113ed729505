//! The protocol of a service port, as Istio reads it from `appProtocol` or the port's name.

use serde::{Deserialize, Serialize};

/// What is spoken on a service port.
///
/// Chosen explicitly as in Istio's "Protocol Selection" page: `appProtocol` first, else the port's
/// name up to the first `-`; [`Protocol::Auto`] where neither says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Nothing was declared: detected from the first bytes.
    #[default]
    Auto,
    /// HTTP/1.1 in plaintext.
    Http,
    /// HTTP/2 in plaintext with prior knowledge.
    Http2,
    /// gRPC over HTTP/2 in plaintext.
    Grpc,
    /// gRPC-Web over HTTP/1.1.
    #[serde(rename = "grpc-web")]
    GrpcWeb,
    /// TLS with HTTP inside, made by the application: opaque bytes here.
    Https,
    /// TLS made by the application: opaque bytes here, routed by SNI.
    Tls,
    /// Opaque bytes over TCP, either side may speak first.
    Tcp,
    /// Datagrams; not carried by the mesh.
    Udp,
}

impl Protocol {
    /// Reads one of Istio's protocol words, without regard to case. Kubernetes' standard
    /// `kubernetes.io/h2c`, `kubernetes.io/ws` and `kubernetes.io/wss` are understood too.
    pub fn parse(word: &str) -> Option<Protocol> {
        Some(match word.to_ascii_lowercase().as_str() {
            "http" | "http1" | "kubernetes.io/ws" => Protocol::Http,
            "http2" | "h2c" | "kubernetes.io/h2c" => Protocol::Http2,
            "grpc" => Protocol::Grpc,
            "grpc-web" => Protocol::GrpcWeb,
            "https" | "kubernetes.io/wss" => Protocol::Https,
            "tls" => Protocol::Tls,
            "tcp" | "mongo" | "mysql" | "redis" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        })
    }

    /// The protocol of a port by Istio's rule: `app_protocol` if it is known, else the port name's
    /// prefix before the first `-` (`grpc-web` taken whole), else [`Protocol::Auto`].
    pub fn of_port(name: &str, app_protocol: Option<&str>) -> Protocol {
        if let Some(found) = app_protocol.and_then(Protocol::parse) {
            return found;
        }
        let name = name.to_ascii_lowercase();
        if name == "grpc-web" || name.starts_with("grpc-web-") {
            return Protocol::GrpcWeb;
        }
        let prefix = name.split('-').next().unwrap_or_default();
        Protocol::parse(prefix).unwrap_or_default()
    }

    /// Whether requests are understood one by one.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::GrpcWeb)
    }

    /// Whether requests are taken one by one where this is declared: it is HTTP, or nothing is said and the first bytes decide.
    pub fn takes_requests(self) -> bool {
        self.is_http() || self == Protocol::Auto
    }

    /// Whether the application expects HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc)
    }

    /// The word by which [`Protocol::parse`] finds it again; `auto` for [`Protocol::Auto`].
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Auto => "auto",
            Protocol::Http => "http",
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::GrpcWeb => "grpc-web",
            Protocol::Https => "https",
            Protocol::Tls => "tls",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_istio_reads_them() {
        for (name, app, expected) in [
            ("http", None, Protocol::Http),
            ("http-web", None, Protocol::Http),
            ("HTTP2-x", None, Protocol::Http2),
            ("grpc-web", None, Protocol::GrpcWeb),
            ("grpc-web-a", None, Protocol::GrpcWeb),
            ("grpc-catalog", None, Protocol::Grpc),
            ("mysql", None, Protocol::Tcp),
            ("web", None, Protocol::Auto),
            ("httpx", None, Protocol::Auto),
            ("", None, Protocol::Auto),
            ("tcp", Some("http"), Protocol::Http),
            ("http", Some("example.com/unknown"), Protocol::Http),
            ("x", Some("kubernetes.io/h2c"), Protocol::Http2),
        ] {
            assert_eq!(Protocol::of_port(name, app), expected, "{name} {app:?}");
        }
    }
}
