//! That load is avoided, and shares follow Envoy's formula.

use super::*;

/// Whether a count of draws is within 3 standard deviations of its expectation.
fn is_expected(count: u64, draws: u64, chance: f64) -> bool {
    let expected = draws as f64 * chance;
    (count as f64 - expected).abs() <= 3.0 * (expected * (1.0 - chance)).sqrt()
}

fn counts(weights: &[u32], loads: &[u32], shares: &[f64], total: u64) -> Vec<u64> {
    let weighted = Weighted::new(weights);
    let is_warming = shares.iter().any(|share| *share < 1.0);
    let mut draws = Draws::new(42);
    let mut counts = vec![0; weights.len()];
    for _ in 0..total {
        let found = pick(&weighted, is_warming, &mut draws, |at| loads[at], |at| shares[at]);
        counts[found.unwrap()] += 1;
    }
    counts
}

#[test]
fn of_two_the_less_loaded_is_taken() {
    let counts = counts(&[1; 4], &[0, 5, 3, 9], &[1.0; 4], 16_000);
    // The one with the most is taken if it is drawn twice, the one with the least if it is drawn at all.
    for (count, chance) in counts.into_iter().zip([7.0, 3.0, 5.0, 1.0]) {
        assert!(is_expected(count, 16_000, chance / 16.0), "{count} for {chance}/16");
    }
}

#[test]
fn unequal_weights_are_divided_by_load() {
    for (weights, loads, shares) in [
        (vec![1, 2, 5], vec![0, 0, 0], vec![1.0; 3]),
        (vec![1, 2, 5], vec![0, 3, 4], vec![1.0; 3]),
        (vec![100, 1], vec![9, 0], vec![1.0; 2]),
        (vec![1, 1, 1], vec![1, 0, 0], vec![1.0, 0.1, 0.5]),
    ] {
        let chance = |at: usize| f64::from(weights[at]) * shares[at] / (f64::from(loads[at]) + 1.0);
        let sum: f64 = (0..weights.len()).map(chance).sum();
        let counts = counts(&weights, &loads, &shares, 20_000);
        for (at, count) in counts.into_iter().enumerate() {
            assert!(is_expected(count, 20_000, chance(at) / sum), "{weights:?} {loads:?} {at}");
        }
    }
}

#[test]
fn many_endpoints_keep_their_weights_and_avoid_load() {
    let weights: Vec<u32> = (0..400).map(|at| 1 + 2 * (at % 2)).collect();
    let heavy = |counts: &[u64]| counts.iter().skip(1).step_by(2).sum::<u64>();
    let idle = counts(&weights, &[0; 400], &[1.0; 400], 40_000);
    assert!(is_expected(heavy(&idle), 40_000, 0.75));
    assert!(idle.iter().all(|count| *count > 0));
    // The heavy ones have 3 requests each: 3 / 4 against 1. What is drawn is a sample, so it comes near the formula's 3/7.
    let loads: Vec<u32> = (0..400).map(|at| 3 * (at % 2)).collect();
    let share = heavy(&counts(&weights, &loads, &[1.0; 400], 40_000)) as f64 / 40_000.0;
    assert!((share - 3.0 / 7.0).abs() < 0.04, "{share}");
}
