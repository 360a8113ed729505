//! Addresses for hosts that have none, so that connections to one can be told from those to another: as Istio, from
//! 240.240.0.0/16, which nobody else uses.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use meltemi_names::Host;

/// The third and fourth part of an address; no part ends in 0 or 255.
const SLOTS: u32 = 256 * 254;

/// Which host has which address. A host's address follows from its name alone, unless another one has that already.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    slots: HashMap<Host, u32>,
    taken: HashMap<u32, Host>,
}

impl Addresses {
    /// The host's address: the one that it has, else a free one. `None` if none is free.
    pub(crate) fn allocate(&mut self, host: &Host) -> Option<Ipv4Addr> {
        if let Some(slot) = self.slots.get(host) {
            return Some(address(*slot));
        }
        let first = hash(host.as_str()) % SLOTS;
        let slot =
            (0..SLOTS).map(|at| (first + at) % SLOTS).find(|it| !self.taken.contains_key(it))?;
        self.taken.insert(slot, host.clone());
        self.slots.insert(host.clone(), slot);
        Some(address(slot))
    }

    /// The host needs its address no more.
    pub(crate) fn release(&mut self, host: &Host) {
        if let Some(slot) = self.slots.remove(host) {
            self.taken.remove(&slot);
        }
    }
}

fn address(slot: u32) -> Ipv4Addr {
    // Both parts fit: `SLOTS` is 256 times 254.
    let [third, fourth] = [slot / 254, slot % 254 + 1].map(|part| u8::try_from(part).unwrap_or(1));
    Ipv4Addr::new(240, 240, third, fourth)
}

/// FNV-1a, so that every control plane gives the same address.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_stay_and_are_each_given_once() {
        let host = |at: u32| format!("h{at}.example.com").parse::<Host>().unwrap();
        let mut addresses = Addresses::default();
        let given: Vec<Ipv4Addr> =
            (0..SLOTS).map(|at| addresses.allocate(&host(at)).unwrap()).collect();
        let unique: HashSet<Ipv4Addr> = given.iter().copied().collect();
        assert_eq!(unique.len(), given.len());
        for ip in &given {
            let [first, second, _, fourth] = ip.octets();
            assert_eq!((first, second), (240, 240));
            assert!((1..255).contains(&fourth), "{ip}");
        }
        assert_eq!(addresses.allocate(&host(SLOTS)), None, "all are given");
        assert_eq!(addresses.allocate(&host(7)), Some(given[7]), "who has one keeps it");
        addresses.release(&host(7));
        assert_eq!(addresses.allocate(&host(SLOTS)), Some(given[7]));

        // Alone, a host has the address of its name, whatever came before.
        let (mut one, mut other) = (Addresses::default(), Addresses::default());
        other.allocate(&host(1));
        assert_eq!(one.allocate(&host(2)), other.allocate(&host(2)));
    }
}
