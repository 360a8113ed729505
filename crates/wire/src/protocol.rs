//! A port's protocol: the mesh's own word for it and the word on the wire.

use meltemi_names::Protocol;

use crate::proto::meltemi::v1;

impl From<Protocol> for v1::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Auto => v1::Protocol::Auto,
            Protocol::Http => v1::Protocol::Http,
            Protocol::Http2 => v1::Protocol::Http2,
            Protocol::Grpc => v1::Protocol::Grpc,
            Protocol::GrpcWeb => v1::Protocol::GrpcWeb,
            Protocol::Https => v1::Protocol::Https,
            Protocol::Tls => v1::Protocol::Tls,
            Protocol::Tcp => v1::Protocol::Tcp,
            Protocol::Udp => v1::Protocol::Udp,
        }
    }
}

impl From<v1::Protocol> for Protocol {
    fn from(protocol: v1::Protocol) -> Self {
        match protocol {
            v1::Protocol::Auto => Protocol::Auto,
            v1::Protocol::Http => Protocol::Http,
            v1::Protocol::Http2 => Protocol::Http2,
            v1::Protocol::Grpc => Protocol::Grpc,
            v1::Protocol::GrpcWeb => Protocol::GrpcWeb,
            v1::Protocol::Https => Protocol::Https,
            v1::Protocol::Tls => Protocol::Tls,
            v1::Protocol::Tcp => Protocol::Tcp,
            v1::Protocol::Udp => Protocol::Udp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_survives_the_journey() {
        for number in 0..9 {
            let sent = v1::Protocol::try_from(number).unwrap();
            assert_eq!(v1::Protocol::from(Protocol::from(sent)), sent);
        }
        assert!(v1::Protocol::try_from(9).is_err());
    }
}
