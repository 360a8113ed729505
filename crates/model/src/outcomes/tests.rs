use std::sync::Arc;

use meltemi_policy::outcome::{Class, Tally};

use super::*;

const START: u32 = 1_800_000_000;

fn id(workload: &str) -> EndpointId {
    EndpointId { host: "hello.shop".into(), port: 80, workload: workload.into() }
}

fn one(micros: u64) -> Tally {
    let mut tally = Tally { issued: 1, ..Tally::default() };
    tally.record(None, micros);
    tally
}

fn calls(outcomes: &Outcomes, seconds: u32, now: u32) -> u64 {
    outcomes.rows(None, seconds, now).iter().map(|row| row.tally.calls).sum()
}

#[test]
fn an_hour_is_kept_first_by_the_second_then_by_the_minute() {
    let (mut outcomes, namespace, caller) = (Outcomes::default(), "shop".into(), "shop/a".into());
    for second in 0..4000 {
        let now = START + second;
        assert!(outcomes.record(&id("shop/1"), &namespace, &caller, &one(100), now));
        assert!(outcomes.size().1 <= 60 + 61, "{second}: {:?}", outcomes.size());
    }
    let now = START + 3999;
    assert_eq!(calls(&outcomes, 10, now), 10);
    let hour = calls(&outcomes, HOUR, now);
    assert!((3540..=3600).contains(&hour), "{hour}");
    outcomes.age(now + HOUR + 60);
    assert_eq!(outcomes.size(), (0, 0));
    assert_eq!(calls(&outcomes, HOUR, now + HOUR + 60), 0);
}

#[test]
fn callers_are_told_apart_and_services_chosen() {
    let mut outcomes = Outcomes::default();
    let namespace: Arc<str> = "shop".into();
    for (caller, micros) in [("shop/a", 100), ("shop/b", 9_000)] {
        outcomes.record(&id("shop/1"), &namespace, &caller.into(), &one(micros), START);
    }
    let mut failed = Tally { issued: 1, ..Tally::default() };
    failed.record(Some(Class::Connect), 5);
    outcomes.record(&id("shop/1"), &namespace, &"shop/b".into(), &failed, START);
    let rows = outcomes.rows(Some("hello.shop"), 60, START);
    let told: Vec<_> =
        rows.iter().map(|row| (&*row.caller, row.tally.calls, row.tally.failures[0])).collect();
    assert_eq!(told, [("shop/a", 1, 0), ("shop/b", 2, 1)]);
    assert!(outcomes.rows(Some("other"), 60, START).is_empty());
    assert_eq!(outcomes.at(&id("shop/1"), 60, START).len(), 2);
    assert!(outcomes.at(&id("shop/2"), 60, START).is_empty());
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let mut outcomes = Outcomes::default();
    for now in [START, START - 30, START - 10, START] {
        outcomes.record(&id("shop/1"), &"shop".into(), &"shop/a".into(), &one(1), now);
    }
    assert_eq!((calls(&outcomes, 60, START), outcomes.size().1), (4, 1));
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is() {
    let mut outcomes = Outcomes::default();
    for second in 0..200 {
        for workload in ["shop/1", "shop/2"] {
            let now = START + second;
            let tally = one(u64::from(second) * 50);
            outcomes.record(&id(workload), &"shop".into(), &"shop/a".into(), &tally, now);
        }
    }
    let bytes = outcomes.to_bytes();
    let read = Outcomes::from_bytes(&bytes).unwrap();
    let now = START + 199;
    assert_eq!(read.rows(None, HOUR, now), outcomes.rows(None, HOUR, now));
    assert_eq!(read.size(), outcomes.size());
    assert!(Outcomes::from_bytes(b"").is_none() && Outcomes::from_bytes(&bytes[1..]).is_none());
    let is_whole = |cut: usize| Outcomes::from_bytes(&bytes[..cut]).is_some();
    let whole: Vec<usize> = (0..bytes.len()).filter(|cut| is_whole(*cut)).collect();
    assert!(whole.len() <= 2, "only the end of a pair is an end: {whole:?}");
    let mut wrong = bytes.clone();
    for at in (0..bytes.len()).step_by(7) {
        wrong[at] ^= 0x55;
        // It may still be readable; it must not panic, nor grow beyond what was there.
        if let Some(read) = Outcomes::from_bytes(&wrong) {
            assert!(read.size().0 <= 2);
        }
        wrong[at] ^= 0x55;
    }
}
