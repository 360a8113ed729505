//! How even the table is, and how much of it changes.

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.0.{}.{}:8080", number / 250, number % 250)).collect()
}

fn maglev(names: &[String], size: u64) -> Maglev {
    Maglev::new(names.iter().map(|name| (name.as_str(), 1.0)), size)
}

#[test]
fn equal_endpoints_have_equal_shares() {
    for count in [1, 3, 100, 650] {
        let table = maglev(&names(count), 65537).table;
        let mut places = vec![0u64; count];
        table.iter().for_each(|owner| places[*owner as usize] += 1);
        let (least, most) = (places.iter().min().unwrap(), places.iter().max().unwrap());
        assert!(most - least <= 1, "{count}: {least}..{most}");
    }
}

#[test]
fn shares_follow_weights_and_nobody_starves() {
    let weights = [("a", 1.0), ("b", 3.0), ("c", 4.0), ("d", 0.0)];
    let table = Maglev::new(weights.into_iter(), 65537).table;
    let mut places = [0; 4];
    table.iter().for_each(|owner| places[*owner as usize] += 1);
    for (places, expected) in places.into_iter().zip([0.125, 0.375, 0.5, 0.0]) {
        let share = f64::from(places) / 65537.0;
        assert!((share - expected).abs() < 0.001 && places > 0, "{share} for {expected}");
    }
}

#[test]
fn few_places_change_when_one_goes() {
    // Maglev gives up some stability for even shares (Eisenbud et al., section 5.3): beyond the share of the one that goes,
    // a few places of a hundred change at 65537 places.
    for (count, bound) in [(2, 0.0), (3, 0.02), (10, 0.03), (100, 0.03), (650, 0.03)] {
        let all = names(count);
        let before = maglev(&all, 65537).table;
        let gone = count / 2;
        let mut rest = all.clone();
        rest.remove(gone);
        let after = maglev(&rest, 65537).table;
        let name_before = before.iter().map(|owner| &all[*owner as usize]);
        let name_after = after.iter().map(|owner| &rest[*owner as usize]);
        let others = name_before.zip(name_after).filter(|(b, a)| b != a && **b != all[gone]);
        let share = others.count() as f64 / 65537.0;
        assert!(share <= bound, "{count}: {share}");
    }
}

#[test]
fn any_size_is_made_to_fit() {
    for (count, asked, size) in [
        (3, 0, 3),
        (3, 4, 5),
        (3, 65536, 65537),
        (3, u64::MAX, 5_000_011),
        (10, 2, 11),
        (0, 65537, 0),
    ] {
        let table = maglev(&names(count), asked);
        assert_eq!(table.table.len(), size, "{count} in {asked}");
        assert_eq!(table.walk(7).next().is_some(), count > 0);
    }
    let weightless = Maglev::new([("a", 0.0), ("b", 0.0)].into_iter(), 7).table;
    assert!(weightless.contains(&0) && weightless.contains(&1));
}
