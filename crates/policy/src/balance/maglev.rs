//! Consistent hashing by Maglev's table (Eisenbud et al., NSDI 2016): one look-up, and shares more even than a ring's.

use super::hash::seeded;

/// The largest table that a rule may ask for (Envoy's bound).
const LARGEST: u64 = 5_000_011;
/// The place is free.
const FREE: u32 = u32::MAX;

/// A table of endpoints `0..n`, each of which has a share by its weight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Maglev {
    table: Box<[u32]>,
}

/// An endpoint while the table is filled.
struct Claimant {
    /// The first place that it wants.
    offset: u64,
    /// How far it is to the next.
    skip: u64,
    /// Places that it has asked for.
    asked: u64,
    weight: f64,
    /// It may claim a place when `round * weight` has come so far.
    target: f64,
}

impl Maglev {
    /// Fills a table for endpoints of these names and weights. `size` should be a prime number, of at least 100 places for
    /// each endpoint; the next prime that has room for all is taken otherwise.
    pub(crate) fn new<'a>(
        endpoints: impl Iterator<Item = (&'a str, f64)> + Clone,
        size: u64,
    ) -> Maglev {
        let size = next_prime(size.min(LARGEST).max(endpoints.clone().count() as u64));
        let mut claimants: Vec<Claimant> =
            endpoints.map(|(name, weight)| claim(name, weight, size)).collect();
        let most = claimants.iter().map(|claimant| claimant.weight).fold(0.0, f64::max);
        if most <= 0.0 {
            // All weigh nothing: all count alike.
            claimants.iter_mut().for_each(|claimant| claimant.weight = 1.0);
        }
        let most = if most <= 0.0 { 1.0 } else { most };
        let mut table = vec![FREE; if claimants.is_empty() { 0 } else { size as usize }];
        let mut free = table.len();
        let mut round = 0.0;
        while free > 0 {
            round += 1.0;
            for (owner, claimant) in (0u32..).zip(&mut claimants) {
                if free == 0 {
                    break;
                }
                if round * claimant.weight < claimant.target {
                    continue;
                }
                claimant.target += most;
                claimant.take(&mut table, owner);
                free -= 1;
            }
        }
        Maglev { table: table.into() }
    }

    /// The endpoints in the order in which a key asks for them, each as often as it has places.
    pub(crate) fn walk(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = key.checked_rem(self.table.len() as u64).unwrap_or(0) as usize;
        let (before, behind) = self.table.split_at(start);
        behind.iter().chain(before).map(|owner| *owner as usize)
    }
}

fn claim(name: &str, weight: f64, size: u64) -> Claimant {
    let offset = seeded(name.as_bytes(), 0) % size;
    let skip = seeded(name.as_bytes(), 1) % (size - 1).max(1) + 1;
    Claimant { offset, skip, asked: 0, weight, target: 0.0 }
}

impl Claimant {
    /// Takes the first free place of its own order. There is one: a prime size makes the order reach every place.
    fn take(&mut self, table: &mut [u32], owner: u32) {
        let size = table.len() as u64;
        loop {
            let place = ((self.offset + self.skip * self.asked) % size) as usize;
            self.asked += 1;
            if table[place] == FREE {
                table[place] = owner;
                return;
            }
        }
    }
}

/// The least prime number that is not below, 2 at least.
fn next_prime(from: u64) -> u64 {
    (from.max(2)..).find(|number| is_prime(*number)).unwrap_or(LARGEST)
}

fn is_prime(number: u64) -> bool {
    (2..)
        .take_while(|divisor| divisor * divisor <= number)
        .all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests;
