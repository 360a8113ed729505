//! What the load generator speaks, and what of that a proxy must know.

use clap::ValueEnum;

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
    /// gRPC messages in both directions over streams that stay
    GrpcStream,
    /// Bytes from the backend, as many as pass
    Tcp,
    /// A few bytes there and back, one exchange a connection
    TcpShort,
}

impl Wire {
    /// The word for it in `--wire`.
    pub fn word(self) -> &'static str {
        match self {
            Wire::Http1 => "http1",
            Wire::Http1Close => "http1-close",
            Wire::H2 => "h2",
            Wire::Grpc => "grpc",
            Wire::GrpcStream => "grpc-stream",
            Wire::Tcp => "tcp",
            Wire::TcpShort => "tcp-short",
        }
    }

    /// What a proxy must be told: HTTP/1.1, HTTP/2 or bytes.
    pub fn carried(self) -> Carried {
        match self {
            Wire::Http1 | Wire::Http1Close => Carried::Http1,
            Wire::H2 | Wire::Grpc | Wire::GrpcStream => Carried::Http2,
            Wire::Tcp | Wire::TcpShort => Carried::Tcp,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_is_read_by_its_word() {
        for wire in Wire::value_variants() {
            assert_eq!(Wire::from_str(wire.word(), false), Ok(*wire));
        }
    }
}
