//! Exactness and evenness of the laid-out cycle.

use proptest::prelude::*;

use super::Schedule;

fn counts(schedule: &Schedule, n: usize, turns: u64) -> Vec<u64> {
    let mut counts = vec![0; n];
    for turn in 0..turns {
        counts[schedule.pick(turn).unwrap()] += 1;
    }
    counts
}

#[test]
fn equal_endpoints_take_exact_turns() {
    let schedule = Schedule::new(&[1, 1, 1]);
    assert_eq!(counts(&schedule, 3, 300), [100, 100, 100]);
    let picks: Vec<_> = (0..6).map(|turn| schedule.pick(turn).unwrap()).collect();
    assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn weights_are_spread_through_the_cycle() {
    let schedule = Schedule::new(&[50, 10, 10]);
    let picks: Vec<_> = (0..7).map(|turn| schedule.pick(turn).unwrap()).collect();
    assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn nothing_to_pick_from_picks_nothing() {
    assert_eq!(Schedule::new(&[]).pick(7), None);
}

#[test]
fn zero_weights_count_alike_only_if_all_are_zero() {
    assert_eq!(counts(&Schedule::new(&[0, 0]), 2, 10), [5, 5]);
    assert_eq!(counts(&Schedule::new(&[0, 3]), 2, 10), [0, 10]);
}

proptest! {
    #[test]
    fn a_cycle_is_exact(weights in prop::collection::vec(0u32..200, 1..12)) {
        prop_assume!(weights.iter().any(|w| *w > 0));
        let schedule = Schedule::new(&weights);
        let counts = counts(&schedule, weights.len(), schedule.cycle() as u64);
        let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert_eq!(count * sum, u64::from(*weight) * schedule.cycle() as u64);
        }
    }

    #[test]
    fn huge_weights_stay_bounded_and_none_starves(weights in prop::collection::vec(1u32..=u32::MAX, 1..50)) {
        let schedule = Schedule::new(&weights);
        prop_assert!(schedule.cycle() <= 4096 + weights.len());
        let counts = counts(&schedule, weights.len(), schedule.cycle() as u64);
        prop_assert!(counts.iter().all(|c| *c > 0));
    }
}
