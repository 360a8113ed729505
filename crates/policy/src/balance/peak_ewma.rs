//! The endpoint where a request is done soonest, as far as two looks can tell (Finagle's and Linkerd's peak EWMA).

use super::draws::Draws;
use super::weighted::Weighted;

/// What one that has requests under way but never answered costs: more than any that did.
const UNKNOWN: f64 = 1e9;

/// Of two drawn by weight the one with the lower cost: its peak of latency (`None` where it never answered) times the requests
/// that it would have. `load` counts those under way, `share` is how much of its weight one has now.
pub(crate) fn pick(
    shares: &Weighted,
    draws: &mut Draws,
    load: impl Fn(usize) -> u32,
    peak: impl Fn(usize) -> Option<f32>,
    share: impl Fn(usize) -> f64,
) -> Option<usize> {
    let (first, second) = (shares.pick(draws)?, shares.pick(draws)?);
    let cost = |index: usize| {
        let load = f64::from(load(index));
        let cost = match peak(index) {
            Some(peak) => f64::from(peak) * (load + 1.0),
            // One that is new is tried at once, by one request.
            None if load == 0.0 => 0.0,
            None => UNKNOWN * (load + 1.0),
        };
        cost / share(index)
    };
    Some(if cost(second) < cost(first) { second } else { first })
}
