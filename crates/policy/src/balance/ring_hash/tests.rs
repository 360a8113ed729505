//! Whose keys move, and how even shares are.

use super::*;

fn ring(names: &[String], minimum_size: u64) -> Ring {
    Ring::new(names.iter().map(|name| (name.as_str(), 1.0)), minimum_size)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.0.0.{number}:8080")).collect()
}

/// The name that each of some keys finds.
fn owners<'a>(ring: &Ring, names: &'a [String], keys: u64) -> Vec<&'a str> {
    (0..keys).map(|key| &*names[ring.walk(mix(key)).next().unwrap()]).collect()
}

#[test]
fn only_the_keys_of_the_one_that_goes_move() {
    for count in [2, 3, 10, 40] {
        let all = names(count);
        let before = owners(&ring(&all, 1024), &all, 4000);
        let mut moved = 0;
        for gone in 0..count {
            let mut rest = all.clone();
            rest.remove(gone);
            let after = owners(&ring(&rest, 1024), &rest, 4000);
            for (before, after) in before.iter().zip(after) {
                assert!(*before == after || **before == all[gone], "{before} -> {after}");
                moved += usize::from(*before != after);
            }
        }
        // Each key moves exactly when its own endpoint goes: 1/n on average.
        assert_eq!(moved, 4000);
    }
}

#[test]
fn on_a_full_ring_few_others_move() {
    let count = 1000;
    let all = names(count);
    let before = owners(&ring(&all, 1024), &all, 50_000);
    let mut rest = all.clone();
    rest.remove(count / 2);
    let after = owners(&ring(&rest, 1024), &rest, 50_000);
    let others = before.iter().zip(&after).filter(|(before, after)| before != after);
    let others = others.filter(|(before, _)| **before != all[count / 2]).count();
    // One of n goes, so the others get 1/n more points: no more than that of the keys, 3 standard deviations allowed.
    assert!(others as f64 <= 50.0 + 3.0 * 50f64.sqrt(), "{others}");
}

#[test]
fn shares_follow_weights() {
    let ring = Ring::new([("a", 1.0), ("b", 3.0), ("c", 4.0)].into_iter(), 1024);
    let mut counts = [0; 3];
    (0..20_000).for_each(|key| counts[ring.walk(mix(key)).next().unwrap()] += 1);
    for (count, expected) in counts.into_iter().zip([0.125, 0.375, 0.5]) {
        // 512 points for each unit of weight: a standard deviation of 1.4% of the ring at most.
        let share = f64::from(count) / 20_000.0;
        assert!((share - expected).abs() < 0.042, "{share} for {expected}");
    }
}

#[test]
fn the_size_keeps_its_bounds() {
    for (count, minimum, least, most) in [
        (2, 1024, 1024, 1026),
        (3, 1024, 1536, 1539),
        (2, 100_000, 100_000, 100_002),
        (10_000, 1024, 120_000, 142_000),
    ] {
        let size = ring(&names(count), minimum).places.len();
        assert!((least..=most).contains(&size), "{count} of {minimum}: {size}");
    }
    assert_eq!(ring(&[], 1024).walk(7).next(), None);
    // Nobody starves, however little it weighs.
    let ring = Ring::new([("a", 1.0), ("b", 1e9), ("c", 0.0)].into_iter(), 1024);
    assert!((0..3).all(|owner| ring.owners.contains(&owner)));
}
