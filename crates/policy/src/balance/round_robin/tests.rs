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
    assert_eq!(picks, [0, 1, 0, 0, 2, 0, 0]);
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

/// Each of these would take minutes if all endpoints were looked at for each turn.
#[test]
fn many_endpoints_are_laid_out_at_once() {
    let equal = Schedule::new(&[7; 200_000]);
    assert!((0..200_000).all(|turn| equal.pick(turn) == Some(turn as usize)));

    let mixed: Vec<u32> = (0..30_000).map(|index| 1 + index % 3).collect();
    let schedule = Schedule::new(&mixed);
    let counts = counts(&schedule, mixed.len(), schedule.cycle() as u64);
    assert!(counts.iter().zip(&mixed).all(|(count, weight)| *count == u64::from(*weight)));

    let wild: Vec<u32> = (0..30_000u32).map(|index| index.wrapping_mul(2_654_435_761)).collect();
    assert!(Schedule::new(&wild).cycle() <= 5 * wild.len());
}

proptest! {
    #[test]
    fn each_has_had_its_share_at_every_turn(weights in prop::collection::vec(0u32..60, 1..12)) {
        prop_assume!(weights.iter().any(|w| *w > 0));
        let schedule = Schedule::new(&weights);
        let sum: i64 = weights.iter().map(|w| i64::from(*w)).sum();
        let mut had = vec![0i64; weights.len()];
        for turn in 0..schedule.cycle() as u64 {
            had[schedule.pick(turn).unwrap()] += 1;
            for (had, weight) in had.iter().zip(&weights) {
                let ahead = had * sum - i64::from(*weight) * (turn as i64 + 1);
                prop_assert!(ahead.abs() < sum, "{had} at turn {turn} of {:?}", schedule);
            }
        }
    }

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
