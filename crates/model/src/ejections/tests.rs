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
fn who_has_left_is_forgotten_and_may_be_ejected_anew() {
    let mut ejections = Ejections::default();
    let none = Tally::default();
    let told = |ejections: &mut Ejections, name: &str| {
        ejections.told(member(name), &by(name), 4, &none, START).is_some()
    };
    assert!(told(&mut ejections, "1") && told(&mut ejections, "2"));
    ejections.forget("hello.shop", "1");
    ejections.forget("other.shop", "2");
    assert_eq!(ejections.len(), 1);
    assert!(told(&mut ejections, "1") && !told(&mut ejections, "2"));
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

#[test]
fn who_has_ejected_what_is_shown_until_it_is_over_or_said_anew() {
    use meltemi_policy::outlier::Reason;
    use std::time::Duration;
    let mut findings = Findings::default();
    let endpoint = |host: &str| crate::outcomes::EndpointId {
        host: host.into(),
        port: 80,
        workload: "shop/1".into(),
    };
    let finding = |host: &str, caller: &str, left: u32, is_told: bool| Finding {
        endpoint: endpoint(host),
        namespace: "shop".into(),
        caller: caller.into(),
        reason: Some(Reason::Consecutive5xx),
        is_told,
        left,
    };
    findings.note(finding("hello.shop", "shop/a", 30, true), START);
    findings.note(finding("hello.shop", "shop/b", 60, false), START);
    findings.note(finding("other.shop", "shop/a", 60, false), START);
    let hello = findings.of(Some("hello.shop"), START + 29);
    let expected =
        [finding("hello.shop", "shop/a", 1, true), finding("hello.shop", "shop/b", 31, false)];
    assert_eq!(hello, expected);
    assert_eq!(findings.of(None, START + 30).len(), 2, "it is over before it is forgotten");
    findings.note(finding("hello.shop", "shop/b", 120, true), START + 40);
    findings.sweep(START + 60);
    assert_eq!(findings.of(None, START + 60), [finding("hello.shop", "shop/b", 100, true)]);
    for (said, expected) in [(None, LASTS), (Some(7), 7), (Some(u64::MAX), 3600)] {
        assert_eq!(Findings::lasting(said.map(Duration::from_secs)), expected);
    }
}

#[test]
fn findings_are_bounded_in_number() {
    let mut findings = Findings::default();
    for at in 0..11_000 {
        let endpoint = crate::outcomes::EndpointId {
            host: "hello.shop".into(),
            port: 80,
            workload: format!("shop/{at}").into(),
        };
        let (namespace, caller) = ("shop".into(), "shop/a".into());
        let finding =
            Finding { endpoint, namespace, caller, reason: None, is_told: false, left: 9 };
        findings.note(finding, START);
    }
    assert_eq!(findings.of(None, START).len(), 10_000);
}
