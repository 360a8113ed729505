//! How clients spread, and what a change of endpoints costs.

use std::collections::BTreeSet;

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.0.{}.{}:8080", number / 250, number % 250)).collect()
}

fn chosen(client: u64, names: &[String], size: usize) -> Vec<usize> {
    subset(client, names.iter().map(String::as_str), size)
}

#[test]
fn a_subset_has_its_size_and_is_the_clients_own() {
    let all = names(500);
    assert_eq!(chosen(1, &all, 30).len(), 30);
    assert_eq!(chosen(1, &all, 3).len(), SMALLEST_SUBSET);
    assert_eq!(chosen(1, &all[..7], 30), (0..7).collect::<Vec<_>>());
    assert_eq!(chosen(1, &all, 30), chosen(1, &all, 30));
    assert_ne!(chosen(1, &all, 30), chosen(2, &all, 30));
    assert!(chosen(1, &[], 30).is_empty());
}

#[test]
fn one_endpoint_less_changes_one_place_at_most() {
    let all = names(200);
    for client in 0..50 {
        let name = |index: &usize| all[*index].clone();
        let before: BTreeSet<String> = chosen(client, &all, 25).iter().map(name).collect();
        let gone = client as usize * 4;
        let mut rest = all.clone();
        let removed = rest.remove(gone);
        let name = |index: &usize| rest[*index].clone();
        let after: BTreeSet<String> = chosen(client, &rest, 25).iter().map(name).collect();
        let changed = before.difference(&after).count();
        assert_eq!(changed, usize::from(before.contains(&removed)));
    }
}

#[test]
fn clients_spread_evenly() {
    let all = names(200);
    let mut counts = vec![0u32; all.len()];
    let clients = 2000;
    for client in 0..clients {
        chosen(client, &all, 20).into_iter().for_each(|index| counts[index] += 1);
    }
    // Each endpoint is chosen by a tenth of the clients: 4 standard deviations, because 200 endpoints are looked at.
    let deviation = (f64::from(clients as u32) * 0.1 * 0.9).sqrt();
    let far = counts.iter().map(|count| (f64::from(*count) - 200.0).abs() / deviation);
    assert!(far.fold(0.0, f64::max) < 4.0);
}
