//! The header by which a server learns who called (the PROXY protocol, versions 1 and 2).

use std::io;
use std::net::{IpAddr, SocketAddr};

use meltemi_policy::destination::rule::ProxyProtocolVersion;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const PROXIED: u8 = 0x21;
/// Version 2, command LOCAL: the receiver takes the connection's own addresses.
const LOCAL: u8 = 0x20;
/// TCP over IPv4, and over IPv6.
const FAMILIES: [u8; 2] = [0x11, 0x21];

/// Writes the header of a new connection. The client is the workload beside this proxy: it is named by the address from
/// which the connection comes.
pub(crate) async fn write(stream: &mut TcpStream, version: ProxyProtocolVersion) -> io::Result<()> {
    let addresses = (stream.local_addr()?, stream.peer_addr()?);
    stream.write_all(&header(version, Some(addresses))).await
}

/// The header for a connection from one address to another; without them it says that they are not known.
pub(crate) fn header(
    version: ProxyProtocolVersion,
    addresses: Option<(SocketAddr, SocketAddr)>,
) -> Vec<u8> {
    let addresses = addresses.map(|(from, to)| of_one_family(from, to));
    match version {
        ProxyProtocolVersion::V1 => text(addresses).into_bytes(),
        ProxyProtocolVersion::V2 => binary(addresses),
    }
}

fn of_one_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
    let wide = |it: SocketAddr| match it.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), it.port()),
        IpAddr::V6(_) => it,
    };
    let (from, to) = (plain(from), plain(to));
    match from.is_ipv4() == to.is_ipv4() {
        true => (from, to),
        false => (wide(from), wide(to)),
    }
}

fn text(addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((from, to)) = addresses else { return "PROXY UNKNOWN\r\n".into() };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
}

fn binary(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((from, to)) = addresses else {
        header.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return header;
    };
    let mut body = Vec::with_capacity(36);
    for ip in [from.ip(), to.ip()] {
        match ip {
            IpAddr::V4(ip) => body.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => body.extend_from_slice(&ip.octets()),
        }
    }
    body.extend_from_slice(&from.port().to_be_bytes());
    body.extend_from_slice(&to.port().to_be_bytes());
    header.extend_from_slice(&[PROXIED, FAMILIES[usize::from(from.is_ipv6())], 0]);
    // 12 or 36.
    header.push(body.len() as u8);
    header.extend_from_slice(&body);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((from.parse().unwrap(), to.parse().unwrap()))
    }

    #[test]
    fn version_1_is_a_line() {
        for (addresses, expected) in [
            (pair("10.0.0.1:4000", "10.0.0.2:80"), "PROXY TCP4 10.0.0.1 10.0.0.2 4000 80\r\n"),
            (pair("[::1]:1", "[fe80::2]:2"), "PROXY TCP6 ::1 fe80::2 1 2\r\n"),
            (pair("[::ffff:10.0.0.1]:1", "10.0.0.2:2"), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"),
            (pair("10.0.0.1:1", "[::1]:2"), "PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n"),
            (None, "PROXY UNKNOWN\r\n"),
        ] {
            let header = header(ProxyProtocolVersion::V1, addresses);
            assert_eq!(String::from_utf8(header).unwrap(), expected);
        }
    }

    #[test]
    fn version_2_is_bytes() {
        let of = |addresses| header(ProxyProtocolVersion::V2, addresses)[12..].to_vec();
        let short = [0x21, 0x11, 0, 12, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0, 80];
        assert_eq!(of(pair("10.0.0.1:4000", "10.0.0.2:80")), short);
        let long = of(pair("[::1]:1", "[::2]:2"));
        assert_eq!((&long[..4], long.len()), (&[0x21, 0x21, 0, 36][..], 40));
        assert_eq!((long[19], long[35], &long[36..]), (1, 2, &[0, 1, 0, 2][..]));
        assert_eq!(of(None), [0x20, 0, 0, 0]);
        let all = header(ProxyProtocolVersion::V2, None);
        assert_eq!(all[..12], [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]);
    }
}
