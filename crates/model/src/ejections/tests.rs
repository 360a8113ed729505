use meltemi_policy::outcome::{Class, Tally};

use super::*;

const START: u32 = 1_800_000_000;

fn member(name: &str) -> Member {
    ("hello.shop".into(), format!("shop/{name}").into())
}

fn by(name: &str) -> Arc<str> {
    name.into()
}

fn met(well: u64, badly: u64) -> Tally {
    let mut tally = Tally::default();
    (0..well).for_each(|_| tally.record(None, 1));
    (0..badly).for_each(|_| tally.record(Some(Class::Status5xx), 1));
    tally
}

#[test]
fn an_ejection_is_over_after_a_while_and_the_next_is_another_one() {
    let mut ejections = Ejections::default();
    let none = Tally::default();
    let first = ejections.told(member("1"), &by("a"), 2, &none, START).unwrap();
    assert_eq!(ejections.told(member("1"), &by("a"), 2, &none, START), None, "it is out already");
    assert!(ejections.sweep(START + LASTS - 1).is_empty() && ejections.len() == 1);
    let over = ejections.sweep(START + LASTS);
    assert_eq!(over, [EjectionChange { member: member("1"), id: 0 }]);
    let second = ejections.told(member("1"), &by("a"), 2, &none, START + LASTS).unwrap();
    assert!(first.id != 0 && second.id > first.id);
}

#[test]
fn at_most_half_of_a_service_is_out_and_never_its_only_endpoint() {
    let none = Tally::default();
    for (size, expected) in [(1, 0), (2, 1), (3, 1), (4, 2), (10, 5)] {
        let mut ejections = Ejections::default();
        let told = |at: usize, ejections: &mut Ejections| {
            let name = at.to_string();
            ejections.told(member(&name), &by(&name), size, &none, START).is_some()
        };
        let out = (0..size).filter(|at| told(*at, &mut ejections)).count();
        assert_eq!(out, expected, "of {size}");
    }
}

#[test]
fn one_identity_alone_has_a_tenth_out_at_most() {
    let none = Tally::default();
    for (size, expected) in [(2, 1), (10, 1), (40, 4)] {
        let mut ejections = Ejections::default();
        let told = |at: usize, ejections: &mut Ejections| {
            ejections.told(member(&at.to_string()), &by("a"), size, &none, START).is_some()
        };
        let out = (0..size).filter(|at| told(*at, &mut ejections)).count();
        assert_eq!(out, expected, "of {size}");
    }
}

#[test]
fn who_is_contradicted_is_not_heard_on_that_service_for_a_while() {
    let mut ejections = Ejections::default();
    let none = Tally::default();
    assert_eq!(ejections.told(member("1"), &by("liar"), 4, &met(9, 1), START), None);
    for name in ["1", "2"] {
        assert_eq!(ejections.told(member(name), &by("liar"), 4, &none, START + 1), None);
    }
    let other = ("other.shop".into(), "shop/1".into());
    assert!(ejections.told(other, &by("liar"), 4, &none, START + 1).is_some());
    assert!(ejections.told(member("1"), &by("b"), 4, &met(1, 9), START + 1).is_some());
    assert!(ejections.told(member("2"), &by("liar"), 4, &none, START + UNHEARD).is_some());
}

#[test]
fn few_calls_of_others_say_nothing() {
    let mut ejections = Ejections::default();
    assert!(ejections.told(member("1"), &by("a"), 4, &met(4, 0), START).is_some());
}
