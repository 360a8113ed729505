//! Free ports for the bookshop's programs, which are told theirs before they start.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Where the search begins.
const LOWEST: u16 = 20_000;
/// How many ports must lie below the kernel's range for the search to be worth it.
const ENOUGH: u16 = 1000;
/// Where the kernel begins if it does not say.
const KERNELS_LOWEST: u16 = 32_768;

/// Ports on loopback that nobody listens on. They lie below those that the kernel gives away itself, lest a sidecar's port
/// `:0` or outgoing connection takes one before the program is there.
pub(super) fn free(count: usize) -> io::Result<Vec<u16>> {
    let range = outside_of_the_kernels();
    // Demos that start at the same time begin at different places.
    let offset = std::process::id() % u32::from(range.end - range.start);
    let start = range.start + u16::try_from(offset).unwrap_or_default();
    let candidates = (start..range.end).chain(range.start..start);
    let open = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
    let listeners: Vec<TcpListener> = candidates.filter_map(open).take(count).collect();
    if listeners.len() < count {
        let (low, high) = (range.start, range.end - 1);
        return Err(io::Error::other(format!("none are free between {low} and {high}")));
    }
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn outside_of_the_kernels() -> Range<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = text.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    let end = first.unwrap_or(KERNELS_LOWEST);
    if end >= LOWEST + ENOUGH {
        return LOWEST..end;
    }
    // A machine that gives away nearly all ports: any of the others, else the risk is taken.
    if end > ENOUGH + 1024 { 1024..end } else { LOWEST..u16::MAX }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn listen(ports: &[u16]) -> Vec<TcpListener> {
        ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap()).collect()
    }

    #[test]
    fn free_ports_are_different_and_none_of_those_in_use() {
        let first = free(8).unwrap();
        let _held = listen(&first);
        let second = free(8).unwrap();
        let _also = listen(&second);
        assert_eq!(first.iter().chain(&second).collect::<BTreeSet<_>>().len(), 16);
    }
}
