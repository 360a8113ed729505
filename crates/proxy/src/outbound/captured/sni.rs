//! The server name that a caller's TLS asks for, read without ending its TLS: the bytes stay in the reader.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use rustls::server::ClientHello;

use crate::http::h1::Reader;
use crate::listen::hello::{Hello, LONGEST};

/// How long a caller may take over its ClientHello.
const LIMIT: Duration = Duration::from_secs(5);

/// Waits for the ClientHello and reads its server name; `None` where the first bytes are something else, name nobody, or do
/// not come in time.
pub(crate) async fn read(reader: &mut Reader) -> Option<String> {
    let reading = async {
        let mut hello = Hello::default();
        loop {
            if let Poll::Ready(name) = hello.look(reader.filled(), name_of) {
                return name.flatten();
            }
            if reader.is_ended() || reader.filled().len() >= LONGEST {
                return None;
            }
            poll_fn(|cx| reader.poll_fill(cx)).await.ok()?;
        }
    };
    tokio::time::timeout(LIMIT, reading).await.ok().flatten()
}

fn name_of(hello: &ClientHello<'_>) -> Option<String> {
    hello.server_name().map(Into::into)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &'static str) -> Vec<u8> {
        let config = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_name_is_found_however_the_bytes_come() {
        let bytes = hello("Shop.example.com");
        for step in [1, 7, bytes.len()] {
            let mut looked = Hello::default();
            let ends = (step..bytes.len()).step_by(step);
            for end in ends {
                assert!(
                    looked.look(&bytes[..end], name_of).is_pending(),
                    "{end} of {}",
                    bytes.len()
                );
            }
            let Poll::Ready(Some(Some(name))) = looked.look(&bytes, name_of) else {
                panic!("steps of {step}")
            };
            assert!(name.eq_ignore_ascii_case("shop.example.com"), "{name}");
        }
    }

    #[test]
    fn what_names_nobody_is_told_at_once() {
        let of_address = hello("127.0.0.1");
        let mut broken = hello("a.example.com");
        broken[5] = 99;
        for bytes in [&b"GET / HTTP/1.1"[..], b"\x15\x03\x03\x00\x02\x01\x00", &of_address, &broken]
        {
            let looked = Hello::default().look(bytes, name_of);
            assert_eq!(looked.map(Option::flatten), Poll::Ready(None));
        }
        assert!(Hello::default().look(b"", name_of).is_pending());
    }
}
