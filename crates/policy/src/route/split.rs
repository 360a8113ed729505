//! Shares of several destinations.

use super::error::Problem;

/// Where the share of each destination ends on the way to the sum of all. The only one gets all whatever its
/// weight; of several, those without a weight get nothing.
pub(super) fn ends(weights: impl ExactSizeIterator<Item = u32>) -> Result<Vec<u64>, Problem> {
    let is_single = weights.len() == 1;
    let mut total = 0;
    let add = |weight| {
        total += if is_single { 1 } else { u64::from(weight) };
        total
    };
    let ends: Vec<u64> = weights.map(add).collect();
    match ends.last() {
        None => Err(Problem::NoDestination),
        Some(0) => Err(Problem::NoWeight),
        Some(_) => Ok(ends),
    }
}

/// The one that a random number falls to.
pub(super) fn pick<T>(all: &[T], end: impl Fn(&T) -> u64, random: u64) -> Option<(usize, &T)> {
    let drawn = random.checked_rem(end(all.last()?))?;
    all.iter().enumerate().find(|(_, one)| drawn < end(one))
}
