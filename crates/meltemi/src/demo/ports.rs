//! Free ports for the bookshop's programs, which are told theirs before they start.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Where the search begins.
const LOWEST: u16 = 20_000;
/// How many ports must lie below the kernel's range for the search to be worth it.
const ENOUGH: u16 = 1000;
/// Where the kernel begins if it does not say.
const KERNELS_LOWEST: u16 = 32_768;

/// Neighbouring ports on loopback that nobody listened on when they were found.
#[derive(Debug)]
pub(super) struct Ports<const N: usize> {
    /// The ports.
    pub(super) free: [u16; N],
    /// The port before them, held as long as they are in use, lest another demo takes the same ones.
    _guard: TcpListener,
}

impl<const N: usize> Ports<N> {
    /// Finds ports. They lie below those that the kernel gives away itself, lest a sidecar's port `:0` or outgoing
    /// connection takes one before the program is there.
    pub(super) fn find() -> io::Result<Ports<N>> {
        let range = outside_of_the_kernels();
        // Two searches at the same time hardly meet.
        let blocks = usize::from(range.end - range.start) / (N + 1);
        let offset = RandomState::new().hash_one(std::process::id()) as usize % blocks;
        let place = |block| usize::from(range.start) + block * (N + 1);
        let mut starts = (offset..blocks).chain(0..offset).map(place);
        starts.find_map(|start| Ports::at(u16::try_from(start).ok()?)).ok_or_else(|| {
            let (low, high) = (range.start, range.end - 1);
            io::Error::other(format!("there are no {N} neighbours between {low} and {high}"))
        })
    }

    /// The ports after `guard`, if nobody listens on any.
    fn at(guard: u16) -> Option<Ports<N>> {
        let open = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        let _guard = open(guard)?;
        let mut free = [guard; N];
        let mut held = Vec::with_capacity(N);
        for (port, after) in free.iter_mut().zip(1..) {
            *port = guard.checked_add(after)?;
            held.push(open(*port)?);
        }
        Some(Ports { free, _guard })
    }
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

    #[test]
    fn ports_can_be_listened_on_and_are_nobody_elses_while_they_are_held() {
        let all: Vec<Ports<7>> = (0..20).map(|_| Ports::find().unwrap()).collect();
        let ports: BTreeSet<u16> = all.iter().flat_map(|ports| ports.free).collect();
        assert_eq!(ports.len(), 140);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn where_somebody_listens_there_are_no_free_ports() {
        let held: Ports<7> = Ports::find().unwrap();
        let [first, second, _, fourth, fifth, ..] = held.free;
        assert!(Ports::<7>::at(first - 1).is_none());
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, fourth)).unwrap();
        assert!(Ports::<2>::at(second).is_none());
        assert_eq!(Ports::<2>::at(fifth).unwrap().free, [fifth + 1, fifth + 2]);
    }
}
