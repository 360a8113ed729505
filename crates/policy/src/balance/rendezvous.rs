//! Which endpoints of a large service one client uses (gRFC A68, random subsetting by rendezvous hashing).

use super::hash::seeded;

/// A service of more endpoints than this is worth it.
pub const SUBSETTING_THRESHOLD: usize = 100;
/// A client has so many endpoints at least.
pub const SMALLEST_SUBSET: usize = 20;

/// The endpoints that this client uses, by index in rising order: the `size` (20 at least) of which the hash with the
/// client's own seed is least. `names` are stable names of the endpoints, such as their addresses.
///
/// Every client may compute it by itself, and clients are spread evenly over endpoints as far as chance does that. When an
/// endpoint goes, only its own clients change, each by one endpoint.
pub fn subset<'a>(client: u64, names: impl Iterator<Item = &'a str>, size: usize) -> Vec<usize> {
    let size = size.max(SMALLEST_SUBSET);
    let hashed = names.enumerate().map(|(index, name)| (rank(client, name), index));
    let mut hashed: Vec<(u64, usize)> = hashed.collect();
    if hashed.len() > size {
        hashed.select_nth_unstable(size);
        hashed.truncate(size);
    }
    let mut chosen: Vec<usize> = hashed.into_iter().map(|(_, index)| index).collect();
    chosen.sort_unstable();
    chosen
}

/// Where an endpoint stands for a client with this seed: those of the least rank are its own.
pub fn rank(client: u64, name: &str) -> u64 {
    seeded(name.as_bytes(), client)
}

#[cfg(test)]
mod tests;
