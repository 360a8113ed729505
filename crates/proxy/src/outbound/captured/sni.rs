//! The server name that a caller's TLS asks for, read without ending its TLS: the bytes stay in the reader.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use rustls::server::Acceptor;

use crate::http::h1::Reader;

/// The longest ClientHello that is looked at; that of a TLS record.
const LONGEST: usize = 16 * 1024;
/// How long a caller may take over its ClientHello.
const LIMIT: Duration = Duration::from_secs(5);
/// The content type of a TLS record that bears a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Waits for the ClientHello and reads its server name; `None` where the first bytes are something else, name nobody, or do
/// not come in time.
pub(super) async fn read(reader: &mut Reader) -> Option<String> {
    let reading = async {
        let mut hello = Hello::default();
        loop {
            if let Poll::Ready(name) = hello.look(reader.filled()) {
                return name;
            }
            if reader.is_ended() || reader.filled().len() >= LONGEST {
                return None;
            }
            poll_fn(|cx| reader.poll_fill(cx)).await.ok()?;
        }
    };
    tokio::time::timeout(LIMIT, reading).await.ok().flatten()
}

/// A ClientHello that comes in parts.
#[derive(Default)]
struct Hello {
    acceptor: Acceptor,
    /// How many bytes of it the acceptor has.
    seen: usize,
}

impl Hello {
    /// Looks at all that has come so far; pending while the name cannot be told.
    fn look(&mut self, bytes: &[u8]) -> Poll<Option<String>> {
        if bytes.first().is_some_and(|first| *first != HANDSHAKE) {
            return Poll::Ready(None);
        }
        let mut new = bytes.get(self.seen..).unwrap_or_default();
        self.seen = bytes.len();
        while !new.is_empty() {
            if self.acceptor.read_tls(&mut new).is_err() {
                return Poll::Ready(None);
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    return Poll::Ready(accepted.client_hello().server_name().map(Into::into));
                }
                // The called server will say what it has against it.
                Err(_) => return Poll::Ready(None),
            }
        }
        Poll::Pending
    }
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
                assert!(looked.look(&bytes[..end]).is_pending(), "{end} of {}", bytes.len());
            }
            let Poll::Ready(Some(name)) = looked.look(&bytes) else { panic!("steps of {step}") };
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
            assert_eq!(Hello::default().look(bytes), Poll::Ready(None));
        }
        assert!(Hello::default().look(b"").is_pending());
    }
}
