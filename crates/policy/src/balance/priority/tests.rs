//! Envoy's own tables of how load moves between priorities.

use super::*;

fn loads(health: &[(u64, u64)], panic_percent: u64) -> (Vec<u64>, Vec<bool>) {
    let health: Vec<Health> =
        health.iter().map(|(usable, total)| Health { usable: *usable, total: *total }).collect();
    let loads = share(&health, panic_percent);
    (loads.percent.to_vec(), loads.panic.to_vec())
}

#[test]
fn the_next_priority_helps_only_beyond_overprovisioning() {
    // The table of Envoy's documentation, "priority levels": healthy endpoints of 100 in P=0, P=1 (and P=2).
    for (usable, expected) in [
        (vec![100, 100], vec![100, 0]),
        (vec![72, 72], vec![100, 0]),
        (vec![71, 71], vec![99, 1]),
        (vec![50, 50], vec![70, 30]),
        (vec![25, 100], vec![35, 65]),
        (vec![25, 25], vec![50, 50]),
        (vec![100, 100, 100], vec![100, 0, 0]),
        (vec![72, 72, 100], vec![100, 0, 0]),
        (vec![71, 71, 100], vec![99, 1, 0]),
        (vec![50, 50, 100], vec![70, 30, 0]),
        (vec![25, 25, 100], vec![35, 35, 30]),
        (vec![25, 25, 20], vec![36, 36, 28]),
        (vec![0, 100], vec![0, 100]),
    ] {
        let health: Vec<(u64, u64)> = usable.iter().map(|usable| (*usable, 100)).collect();
        let (percent, _) = loads(&health, 0);
        assert_eq!(percent.iter().sum::<u64>(), 100);
        // What rounding leaves goes to the first, which the documentation's table rounds by hand.
        let close = percent.iter().zip(&expected).all(|(got, wanted)| got.abs_diff(*wanted) <= 1);
        assert!(close, "{usable:?}: {percent:?}, not {expected:?}");
    }
}

#[test]
fn panic_comes_when_all_together_are_too_few() {
    // The same documentation, "panic threshold": of three priorities of 100.
    for (usable, threshold, percent, panic) in [
        ([72, 72, 100], 50, [100, 0, 0], [false; 3]),
        // One priority is weak, but the others take its load.
        ([25, 100, 0], 50, [35, 65, 0], [false; 3]),
        ([25, 25, 20], 50, [34, 33, 33], [true; 3]),
        ([5, 0, 0], 50, [34, 33, 33], [true; 3]),
        ([60, 0, 0], 50, [100, 0, 0], [false, true, true]),
        ([0, 0, 0], 50, [34, 33, 33], [true; 3]),
        ([0, 0, 0], 0, [100, 0, 0], [false; 3]),
        ([5, 5, 0], 0, [50, 50, 0], [false; 3]),
    ] {
        let health = usable.map(|usable| (usable, 100));
        let got = loads(&health, threshold);
        assert_eq!(got, (percent.to_vec(), panic.to_vec()), "{usable:?} below {threshold}%");
    }
    assert_eq!(loads(&[], 50), (vec![], vec![]));
    // In panic load goes by the number of endpoints.
    assert_eq!(loads(&[(0, 30), (0, 10)], 50), (vec![75, 25], vec![true, true]));
}
