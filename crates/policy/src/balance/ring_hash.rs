//! Consistent hashing by a ring (ketama): an endpoint owns the arcs that end at its points.

use super::draws::mix;
use super::hash::seeded;

/// The largest ring that a rule may ask for (Envoy's bound).
const LARGEST: u64 = 8 << 20;
/// So large a ring grows for many endpoints, if the rule does not ask for more.
const COMFORTABLE: u64 = 128 << 10;

/// A ring of points over the endpoints `0..n`.
///
/// Envoy gives an endpoint `minimum size / n` points. That number changes with `n`, and with it keys of endpoints that are
/// still there move. Here the number of points is the same for every `n`, half of the minimum size, so that only the keys of
/// the endpoint that goes move, and no two endpoints have a smaller ring than was asked for. Only where the ring would grow
/// beyond 131072 points (256 endpoints at the default) the numbers shrink evenly; then at most `1/n` of other keys move too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ring {
    places: Box<[u64]>,
    owners: Box<[u32]>,
}

impl Ring {
    /// Lays out a ring for endpoints of these names and weights. An endpoint has a point at least, whatever its weight.
    pub(crate) fn new<'a>(
        endpoints: impl Iterator<Item = (&'a str, f64)> + Clone,
        minimum_size: u64,
    ) -> Ring {
        let weights = endpoints.clone().map(|(_, weight)| weight);
        let least = weights.filter(|weight| *weight > 0.0).fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { least } else { 1.0 };
        let units: f64 = endpoints.clone().map(|(_, weight)| weight / least).sum();
        let minimum_size = minimum_size.clamp(2, LARGEST);
        let bound = minimum_size.max(COMFORTABLE) as f64;
        let each = (minimum_size.div_ceil(2) as f64).min(bound / units.max(1.0));
        let mut points = Vec::new();
        for (owner, (name, weight)) in (0u32..).zip(endpoints) {
            let seed = seeded(name.as_bytes(), 0);
            // What lies between two whole numbers is decided by the endpoint, not by its place among the others.
            let fraction = (seed >> 11) as f64 / (1u64 << 53) as f64;
            let count = ((weight / least * each + fraction) as u64).clamp(1, LARGEST);
            points.extend((0..count).map(|point| (mix(seed ^ mix(point + 1)), owner)));
        }
        points.sort_unstable();
        let (places, owners): (Vec<u64>, Vec<u32>) = points.into_iter().unzip();
        Ring { places: places.into(), owners: owners.into() }
    }

    /// The endpoints in the order in which a key asks for them, from the first point at or behind it round the ring. An
    /// endpoint may come many times.
    pub(crate) fn walk(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = self.places.partition_point(|place| *place < key);
        let (before, behind) = self.owners.split_at(start);
        behind.iter().chain(before).map(|owner| *owner as usize)
    }
}

#[cfg(test)]
mod tests;
