//! What can be measured: which proxies stand in the path, what is spoken over it, and at which rate latency is taken.

use clap::ValueEnum;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// mTLS sidecar pair, HTTP/1.1, 1 KB answers
    PairHttp1,
    /// mTLS sidecar pair, HTTP/2 without TLS from the application
    PairH2,
    /// mTLS sidecar pair, gRPC unary
    PairGrpc,
    /// mTLS sidecar pair, bulk bytes over opaque TCP
    PairTcp,
    /// mTLS sidecar pair, HTTP/1.1, a new client connection for each request
    Connect,
    /// One proxy as a plain reverse proxy, HTTP/1.1
    ProxyHttp1,
    /// Memory of the calling side's proxy: idle, and with idle connections
    Idle,
}

/// Which proxies stand between load and backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// The caller's sidecar, and one beside each endpoint; mTLS between them.
    Pair,
    /// One, without TLS.
    Single,
}

/// What the load generator speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// HTTP/1.1, connections kept
    Http1,
    /// HTTP/1.1, one request a connection
    Http1Close,
    /// HTTP/2 without TLS
    H2,
    /// gRPC unary over HTTP/2 without TLS
    Grpc,
    /// Bytes from the backend, as many as pass
    Tcp,
}

impl Wire {
    /// The word for it in `--wire`.
    pub fn word(self) -> &'static str {
        match self {
            Wire::Http1 => "http1",
            Wire::Http1Close => "http1-close",
            Wire::H2 => "h2",
            Wire::Grpc => "grpc",
            Wire::Tcp => "tcp",
        }
    }

    /// What a proxy must be told: HTTP/1.1, HTTP/2 or bytes.
    pub fn carried(self) -> Carried {
        match self {
            Wire::Http1 | Wire::Http1Close => Carried::Http1,
            Wire::H2 | Wire::Grpc => Carried::Http2,
            Wire::Tcp => Carried::Tcp,
        }
    }
}

/// What a proxy carries, and so which of its configurations is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Bytes.
    Tcp,
}

impl Scenario {
    /// Which proxies stand in the path.
    pub fn topology(self) -> Topology {
        match self {
            Scenario::ProxyHttp1 => Topology::Single,
            _ => Topology::Pair,
        }
    }

    /// What the load generator speaks.
    pub fn wire(self) -> Wire {
        match self {
            Scenario::PairHttp1 | Scenario::ProxyHttp1 | Scenario::Idle => Wire::Http1,
            Scenario::Connect => Wire::Http1Close,
            Scenario::PairH2 => Wire::H2,
            Scenario::PairGrpc => Wire::Grpc,
            Scenario::PairTcp => Wire::Tcp,
        }
    }

    /// Requests a second at which latency is taken: about 30 % of what Envoy can do on two cores. Nothing where a fixed
    /// rate means nothing.
    pub fn rate(self) -> Option<u32> {
        match self {
            Scenario::PairHttp1 | Scenario::PairH2 | Scenario::PairGrpc => Some(3400),
            Scenario::Connect => Some(2000),
            Scenario::ProxyHttp1 => Some(8000),
            Scenario::PairTcp | Scenario::Idle => None,
        }
    }

    /// Connections of the load generator.
    pub fn connections(self) -> usize {
        match self {
            Scenario::PairHttp1 | Scenario::Connect | Scenario::ProxyHttp1 => 32,
            Scenario::PairH2 | Scenario::PairGrpc => 8,
            Scenario::PairTcp => 4,
            Scenario::Idle => 1000,
        }
    }
}
