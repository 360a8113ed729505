//! Which addresses keys may be fetched from. Whoever may write a `RequestAuthentication` chooses what the control plane
//! asks for: it must not become a way to what only the control plane can reach (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use meltemi_policy::route::Subnet;

/// A host, or a block of addresses, that may be asked though it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksAllow {
    /// The host of an address, whatever it resolves to.
    Host(String),
    /// Addresses.
    Block(Subnet),
}

/// The text is neither a host nor a block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a host (`keys.example.com`) nor a block of addresses (`10.1.0.0/16`)")]
pub struct JwksAllowError(String);

impl FromStr for JwksAllow {
    type Err = JwksAllowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(block) = text.parse::<Subnet>() {
            return Ok(JwksAllow::Block(block));
        }
        match text.parse::<meltemi_names::Host>() {
            Ok(host) if !host.is_wildcard() => Ok(JwksAllow::Host(host.as_str().to_owned())),
            _ => Err(JwksAllowError(text.to_owned())),
        }
    }
}

/// Whether an address to which a host resolved may be asked.
pub(super) fn is_allowed(allowed: &[JwksAllow], host: &str, address: IpAddr) -> bool {
    let is_named = |it: &JwksAllow| match it {
        JwksAllow::Host(own) => own.eq_ignore_ascii_case(host.trim_end_matches('.')),
        JwksAllow::Block(block) => block.contains(address),
    };
    is_public(address) || allowed.iter().any(is_named)
}

/// Whether an address is of the public internet: not of those that IANA's special-purpose registries keep for a machine, a
/// link, a site or a purpose (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // This network, private, loopback, multicast, reserved and broadcast.
        (0 | 10 | 127 | 224..=255, ..) => true,
        // Shared with a carrier (RFC 6598), link-local, private.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocols, documentation, 6to4 relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let it = address.segments();
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match it {
        // Translated to IPv4 (RFC 6052), 6to4 (RFC 3056): what they lead to counts.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocols and Teredo, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Of the rest only global unicast is given to anybody (RFC 4291, section 2.4).
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(given: &[&str], host: &str, address: &str) -> bool {
        let given: Vec<JwksAllow> = given.iter().map(|it| it.parse().unwrap()).collect();
        is_allowed(&given, host, address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_asked() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:4860:4860::8888",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(allowed(&[], "keys.example", public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.9.10",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "100::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
        ] {
            assert!(!allowed(&[], "keys.example", special), "{special}");
        }
    }

    #[test]
    fn what_is_named_is_asked_too() {
        for (given, host, address, expected) in [
            (&["127.0.0.0/8"][..], "localhost", "127.0.0.1", true),
            (&["127.0.0.0/8"], "localhost", "::ffff:127.0.0.1", true),
            (&["127.0.0.0/8"], "localhost", "::1", false),
            (&["127.0.0.0/8"], "keys.example", "10.0.0.1", false),
            (&["10.1.2.3"], "keys.example", "10.1.2.3", true),
            (&["Keys.Example"], "keys.example", "10.0.0.1", true),
            (&["keys.example"], "KEYS.example.", "10.0.0.1", true),
            (&["keys.example"], "other.keys.example", "10.0.0.1", false),
            (&["keys.example"], "xkeys.example", "10.0.0.1", false),
        ] {
            assert_eq!(allowed(given, host, address), expected, "{given:?} {host} {address}");
        }
        for text in ["", "*.example.com", "10.0.0.0/33", "https://keys.example", "a b"] {
            assert!(text.parse::<JwksAllow>().is_err(), "{text}");
        }
    }
}
