//! Free ports for proxies that are told theirs before they start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

/// Below what the kernel gives to outgoing connections, so that no connection of the load takes one.
const RANGE: Range<u16> = 18_000..32_000;
/// How far apart benchmarks of neighbouring process ids begin: more than one of them takes.
const APART: u32 = 127;

/// Gives out addresses of the loopback, none of them twice.
#[derive(Debug)]
pub struct Ports {
    next: u16,
}

impl Ports {
    /// Benchmarks that run at the same time begin at different places.
    pub fn new() -> Ports {
        let offset = std::process::id().wrapping_mul(APART) % u32::from(RANGE.end - RANGE.start);
        Ports { next: RANGE.start + u16::try_from(offset).unwrap_or_default() }
    }

    /// An address that nobody listens on.
    pub fn free(&mut self) -> io::Result<SocketAddr> {
        for _ in RANGE {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next));
            self.next = if self.next + 1 < RANGE.end { self.next + 1 } else { RANGE.start };
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        Err(io::Error::other(format!("no port is free from {} to {}", RANGE.start, RANGE.end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_use_are_passed_over() {
        let mut ports = Ports::new();
        let first = ports.free().unwrap();
        let _held = TcpListener::bind(first).unwrap();
        ports.next = first.port();
        assert_ne!(ports.free().unwrap(), first);
        ports.next = RANGE.end - 1;
        let last = ports.free().unwrap();
        assert!(RANGE.contains(&last.port()) && RANGE.contains(&ports.next));
    }
}
