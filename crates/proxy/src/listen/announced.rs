//! What a proxy says before anything else on a connection to a sidecar without TLS: which port of which service is meant.
//!
//! It is a header of the PROXY protocol, version 2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>): command
//! `LOCAL`, no addresses, and the TLV `PP2_TYPE_AUTHORITY` with the server name that TLS would have asked for,
//! `outbound_.PORT_.SUBSET_.HOST`. It claims nothing of the caller, and whatever is not exactly of this form is the
//! application's: a header that its clients send it passes.

use std::task::Poll;

use super::tls::parse_server_name;

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 with the command `LOCAL`, and no address family.
const KIND: [u8; 2] = [0x20, 0];
/// The length of everything before the TLVs.
const FIXED: usize = 16;
/// The TLV with the server name.
const AUTHORITY: u8 = 2;
/// The longest name: a host of 253 bytes and what stands around it.
const LONGEST: usize = 320;

/// Host and port of the service that is meant.
pub(crate) type Meant = (String, u16);

/// The header for a server name.
pub(crate) fn header(server_name: &str) -> Vec<u8> {
    let name = server_name.as_bytes();
    // A DNS name has at most 253 bytes.
    let length = name.len() as u16;
    let mut header = Vec::with_capacity(FIXED + 3 + name.len());
    header.extend_from_slice(SIGNATURE);
    header.extend_from_slice(&KIND);
    header.extend_from_slice(&(length + 3).to_be_bytes());
    header.push(AUTHORITY);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(name);
    header
}

/// Reads the header at the beginning of a connection: what is meant, and how long the header is; `None` where there is
/// none, pending while that cannot be told.
pub(crate) fn read(bytes: &[u8]) -> Poll<Option<(Meant, usize)>> {
    let begun = bytes.len().min(FIXED - 2);
    let beginning: [u8; FIXED - 2] = {
        let mut whole = [0; FIXED - 2];
        whole[..12].copy_from_slice(SIGNATURE);
        whole[12..].copy_from_slice(&KIND);
        whole
    };
    if bytes[..begun] != beginning[..begun] {
        return Poll::Ready(None);
    }
    let Some(length) = bytes.get(FIXED - 2..FIXED) else { return Poll::Pending };
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if !(3..=LONGEST).contains(&length) {
        return Poll::Ready(None);
    }
    let Some(body) = bytes.get(FIXED..FIXED + length) else { return Poll::Pending };
    let [AUTHORITY, high, low, name @ ..] = body else { return Poll::Ready(None) };
    if usize::from(u16::from_be_bytes([*high, *low])) != name.len() {
        return Poll::Ready(None);
    }
    let meant = std::str::from_utf8(name).ok().and_then(parse_server_name);
    Poll::Ready(meant.map(|meant| (meant, FIXED + length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "outbound_.80_._.hello.default.svc.cluster.local";

    #[test]
    fn what_is_said_is_read_however_the_bytes_come() {
        let mut bytes = header(NAME);
        let length = bytes.len();
        for end in 0..length {
            assert_eq!(read(&bytes[..end]), Poll::Pending, "{end} of {length}");
        }
        bytes.extend_from_slice(b"GET / HTTP/1.1");
        let meant = ("hello.default.svc.cluster.local".to_owned(), 80);
        assert_eq!(read(&bytes), Poll::Ready(Some((meant, length))));
    }

    #[test]
    fn everything_else_is_the_applications() {
        let mut proxied = header(NAME);
        proxied[12] = 0x21;
        let mut addressed = header(NAME);
        addressed[13] = 0x11;
        let mut other = header(NAME);
        other[16] = 1;
        let mut short = header(NAME);
        short[18] -= 1;
        let mut long = header(NAME);
        long[14] = 2;
        let empty = [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat();
        let foreign = header("hello.default.svc.cluster.local");
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"\r\n\r\nGET /",
            b"\x16\x03\x01",
            b"PROXY UNKNOWN\r\n",
            &proxied,
            &addressed,
            &other,
            &short,
            &long,
            &empty,
            &foreign,
        ] {
            assert_eq!(read(bytes), Poll::Ready(None), "{bytes:?}");
        }
    }

    proptest! {
        /// Whatever comes, a verdict stays as more comes, and of a header no byte is passed on.
        #[test]
        fn a_verdict_stays(at in 0..64usize, byte: u8, rest in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = header(NAME);
            if let Some(other) = bytes.get_mut(at) {
                *other = byte;
            }
            bytes.extend_from_slice(&rest);
            let mut verdict = Poll::Pending;
            for end in 0..=bytes.len() {
                let now = read(&bytes[..end]);
                if verdict.is_ready() {
                    prop_assert_eq!(&now, &verdict);
                }
                if let Poll::Ready(Some((_, length))) = &now {
                    prop_assert!(*length <= end);
                }
                verdict = now;
            }
            prop_assert!(verdict.is_ready() || rest.len() < LONGEST);
        }
    }
}
