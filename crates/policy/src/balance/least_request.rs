//! The endpoint with the fewest requests under way, as far as two looks can tell (Envoy's least request).

use super::draws::Draws;
use super::weighted::Weighted;

/// Up to so many endpoints all are looked at. Of more so many are drawn: fewer would come less near to the formula.
const LOOKED_AT: usize = 16;

/// Picks among the endpoints of `shares`. `load` counts the requests of one from the moment of choice, `share` is how much of
/// its weight one has now (less than 1 while it warms up).
///
/// With equal weights and nobody warming up, two are drawn and the one with fewer requests is taken (power of two choices).
/// Otherwise the chance of each is its weight divided by its requests plus one: Envoy's `weight / (active + 1) ^ bias` with
/// the default bias of 1. Among many endpoints that chance is applied to some that are drawn by their weights, so that a
/// choice costs the same for any number.
pub(crate) fn pick(
    shares: &Weighted,
    is_warming: bool,
    draws: &mut Draws,
    load: impl Fn(usize) -> u32,
    share: impl Fn(usize) -> f64,
) -> Option<usize> {
    if shares.is_even() && !is_warming {
        let (first, second) = (shares.pick(draws)?, shares.pick(draws)?);
        return Some(if load(second) < load(first) { second } else { first });
    }
    let chance = |index: usize| share(index) / (f64::from(load(index)) + 1.0);
    let count = shares.len();
    if count <= LOOKED_AT {
        return among(count, draws, |at| (at, shares.weight(at) as f64 * chance(at)));
    }
    let mut drawn = [0; LOOKED_AT];
    for place in &mut drawn {
        *place = shares.pick(draws)?;
    }
    among(LOOKED_AT, draws, |at| (drawn[at], chance(drawn[at])))
}

/// One of some by their chances.
fn among(count: usize, draws: &mut Draws, look: impl Fn(usize) -> (usize, f64)) -> Option<usize> {
    let mut looked = [(0, 0.0); LOOKED_AT];
    let looked = &mut looked[..count];
    let mut sum = 0.0;
    for (at, place) in looked.iter_mut().enumerate() {
        let (index, chance) = look(at);
        sum += chance;
        *place = (index, sum);
    }
    let place = draws.unit() * sum;
    let found = looked.iter().find(|(_, sum)| place < *sum);
    found.or(looked.last()).map(|(index, _)| *index)
}

#[cfg(test)]
mod tests;
