//! The endpoint where a request is done soonest, as far as two looks can tell (Finagle's and Linkerd's peak EWMA).

use super::draws::Draws;
use super::weighted::Weighted;

/// What one that has requests under way but never answered costs: more than any that did.
const UNKNOWN: f64 = 1e9;

/// Of two drawn by weight the one with the lower cost: its peak of latency (`None` where it never answered) times the requests
/// that it would have. `load` counts those under way, `share` is how much of its weight one has now.
///
/// The two are never the same, as in Finagle's `P2CPick`: of eleven endpoints one that is slow would be drawn twice for one
/// request in 121, and have it whatever it costs. Where weights differ that would be unfair to the heavy one, which has more
/// under way by right; there the other is taken instead only if it costs less per unit of weight.
pub(crate) fn pick(
    shares: &Weighted,
    draws: &mut Draws,
    load: impl Fn(usize) -> u32,
    peak: impl Fn(usize) -> Option<f32>,
    share: impl Fn(usize) -> f64,
) -> Option<usize> {
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
    let (first, second) = (shares.pick(draws)?, shares.pick(draws)?);
    if first != second {
        return Some(if cost(second) < cost(first) { second } else { first });
    }
    let Some(other) = shares.pick_other(first, draws) else { return Some(first) };
    let per_weight = |index: usize| cost(index) / shares.weight(index) as f64;
    Some(if per_weight(other) < per_weight(first) { other } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 20_000;

    /// How often the second of two is taken.
    fn seconds(weights: [u32; 2], loads: [u32; 2], peaks: [Option<f32>; 2]) -> u64 {
        let shares = Weighted::new(&weights);
        let mut draws = Draws::new(42);
        let mut one = || pick(&shares, &mut draws, |at| loads[at], |at| peaks[at], |_| 1.0);
        (0..DRAWS).filter(|_| one() == Some(1)).count() as u64
    }

    #[test]
    fn the_dearer_of_two_is_never_taken() {
        for (loads, peaks) in [
            ([15, 0], [Some(0.1), Some(2.0)]),
            ([0, 1], [Some(0.1), Some(0.1)]),
            ([9, 1], [Some(0.1), None]),
        ] {
            assert_eq!(seconds([1, 1], loads, peaks), 0, "{loads:?} {peaks:?}");
        }
        assert_eq!(seconds([1, 1], [0, 0], [Some(0.1), None]), DRAWS, "one that is new");
    }

    #[test]
    fn weights_hold_among_those_that_are_alike() {
        let (heavy, peaks) = ([9, 1], [Some(0.1); 2]);
        for loads in [[0, 0], [17, 1]] {
            let share = seconds(heavy, loads, peaks) as f64 / DRAWS as f64;
            assert!((0.05..0.2).contains(&share), "{share}");
        }
        assert_eq!(seconds([1, 9], [0, 300], [Some(0.1), Some(2.0)]), 0, "whatever it weighs");
    }

    #[test]
    fn the_only_one_is_taken() {
        let mut draws = Draws::new(1);
        let mut of = |weights: &[u32]| {
            pick(&Weighted::new(weights), &mut draws, |_| 9, |_| Some(1.0), |_| 1.0)
        };
        assert_eq!((of(&[1]), of(&[0, 3]), of(&[])), (Some(0), Some(1), None));
    }
}
