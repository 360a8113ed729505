//! A ClientHello that a caller sends, read without answering it: the bytes stay where they are.

use std::task::Poll;

use rustls::server::{Acceptor, ClientHello};

/// The longest ClientHello that is looked at; that of a TLS record.
pub(crate) const LONGEST: usize = 16 * 1024;
/// The content type of a TLS record that bears a handshake (RFC 8446, section 5.1).
pub(crate) const HANDSHAKE: u8 = 22;

/// A ClientHello that comes in parts.
#[derive(Default)]
pub(crate) struct Hello {
    acceptor: Acceptor,
    /// How many bytes of it the acceptor has.
    seen: usize,
}

impl Hello {
    /// Looks at all that has come so far; pending while it is not whole, `None` if it is none. Once it has answered it is
    /// used up.
    pub(crate) fn look<T>(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&ClientHello<'_>) -> T,
    ) -> Poll<Option<T>> {
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
                Ok(Some(accepted)) => return Poll::Ready(Some(read(&accepted.client_hello()))),
                // The called server will say what it has against it.
                Err(_) => return Poll::Ready(None),
            }
        }
        Poll::Pending
    }
}
