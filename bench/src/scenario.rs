//! What can be measured: which proxies stand in the path, what is spoken over it, and at which rate latency is taken.

mod wire;

use clap::ValueEnum;

pub use self::wire::{Carried, Wire};
use crate::contestant::Kind;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// mTLS sidecar pair, HTTP/1.1, 1 KB answers
    PairHttp1,
    /// mTLS sidecar pair, HTTP/2 without TLS from the application
    PairH2,
    /// mTLS sidecar pair, gRPC unary
    PairGrpc,
    /// mTLS sidecar pair, gRPC streams in both directions: a message there, a message back
    PairGrpcStream,
    /// mTLS sidecar pair, bulk bytes over opaque TCP
    PairTcp,
    /// mTLS sidecar pair, opaque TCP, a new connection for each exchange of a few bytes
    TcpShort,
    /// As tcp-short, and no TLS session is ever resumed: a full handshake of both ends for each
    Handshakes,
    /// mTLS sidecar pair, HTTP/1.1, a new client connection for each request
    Connect,
    /// One proxy as a plain reverse proxy, HTTP/1.1
    ProxyHttp1,
    /// Memory of the calling side's proxy: idle, and with idle connections
    Idle,
    /// Memory of one proxy that knows some services of three endpoints each
    Services,
    /// mTLS sidecar pair, HTTP/1.1 at a fixed rate: without and with changes of the configuration
    Churn,
}

/// Which proxies stand between load and backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// The caller's sidecar, and one beside each endpoint; mTLS between them.
    Pair,
    /// One, without TLS.
    Single,
}

/// The word for what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// For heads of columns.
    pub short: &'static str,
    /// For sentences.
    pub long: &'static str,
}

impl Scenario {
    /// Which proxies stand in the path.
    pub fn topology(self) -> Topology {
        match self {
            Scenario::ProxyHttp1 | Scenario::Services => Topology::Single,
            _ => Topology::Pair,
        }
    }

    /// What the load generator speaks.
    pub fn wire(self) -> Wire {
        match self {
            Scenario::PairHttp1
            | Scenario::ProxyHttp1
            | Scenario::Idle
            | Scenario::Services
            | Scenario::Churn => Wire::Http1,
            Scenario::Connect => Wire::Http1Close,
            Scenario::PairH2 => Wire::H2,
            Scenario::PairGrpc => Wire::Grpc,
            Scenario::PairGrpcStream => Wire::GrpcStream,
            Scenario::PairTcp => Wire::Tcp,
            Scenario::TcpShort | Scenario::Handshakes => Wire::TcpShort,
        }
    }

    /// Requests a second at which latency is taken: about 30 % of what Envoy can do on two cores. Nothing where a fixed
    /// rate means nothing.
    pub fn rate(self) -> Option<u32> {
        match self {
            Scenario::PairHttp1
            | Scenario::PairH2
            | Scenario::PairGrpc
            | Scenario::PairGrpcStream
            | Scenario::Churn => Some(3400),
            Scenario::Connect => Some(2000),
            Scenario::TcpShort | Scenario::Handshakes => Some(200),
            Scenario::ProxyHttp1 => Some(8000),
            Scenario::PairTcp | Scenario::Idle | Scenario::Services => None,
        }
    }

    /// Connections of the load generator.
    pub fn connections(self) -> u32 {
        match self {
            Scenario::PairHttp1
            | Scenario::TcpShort
            | Scenario::Handshakes
            | Scenario::Connect
            | Scenario::ProxyHttp1
            | Scenario::Churn => 32,
            Scenario::PairH2 | Scenario::PairGrpc | Scenario::PairGrpcStream => 8,
            Scenario::PairTcp => 4,
            Scenario::Idle => 1000,
            Scenario::Services => 1,
        }
    }

    /// Whether answers of another length than a kilobyte can be asked for.
    pub fn has_body(self) -> bool {
        use Scenario::{Connect, PairH2, PairHttp1, ProxyHttp1};
        matches!(self, PairHttp1 | PairH2 | Connect | ProxyHttp1)
    }

    /// What is counted.
    pub fn unit(self) -> Unit {
        match self.wire() {
            Wire::GrpcStream => Unit { short: "msg", long: "message" },
            Wire::TcpShort => Unit { short: "conn", long: "connection" },
            _ => Unit { short: "req", long: "request" },
        }
    }

    /// Whether a contestant can be measured in it at all: memory is a proxy's, and only what has a configuration can
    /// change it.
    pub fn has(self, kind: Kind) -> bool {
        match self {
            Scenario::Idle => kind != Kind::Direct,
            Scenario::Services => !matches!(kind, Kind::Direct | Kind::Relay),
            Scenario::Churn => kind != Kind::Relay,
            _ => true,
        }
    }

    /// Whether TLS sessions may be resumed, as each contestant does it by default.
    pub fn resumes(self) -> bool {
        self != Scenario::Handshakes
    }

    /// Whether one round says all: memory does not go back to what it was.
    pub fn is_memory(self) -> bool {
        matches!(self, Scenario::Idle | Scenario::Services)
    }
}
