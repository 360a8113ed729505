//! When endpoints go, for how long, and when they return.

use super::Outcome::{Answered, Connected, TimedOut, Unreachable};
use super::*;
use crate::destination::rule::{FailurePercentage, OutlierDetection, SuccessRate};

fn detector(rule: &OutlierDetection, count: usize) -> Detector {
    Detector::new(Settings::from(rule), (0..count).map(|_| Arc::default()))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// After how many of these results the first endpoint of ten is ejected, and why.
fn ejected_after(rule: &OutlierDetection, outcomes: &[Outcome]) -> Option<(usize, Reason)> {
    let detector = detector(rule, 10);
    let mut changes = outcomes.iter().map(|outcome| detector.record(0, *outcome, || seconds(1)));
    let at = changes.position(|change| change.is_some())?;
    // The same results tell the reason, because nothing but them counts.
    let again = self::detector(rule, 10);
    let last = outcomes[..=at].iter().filter_map(|it| again.record(0, *it, || seconds(1))).last();
    Some((at + 1, last?.ejected?))
}

#[test]
fn failures_in_a_row_eject() {
    use Reason::{Consecutive5xx, ConsecutiveGatewayFailure, ConsecutiveLocalOriginFailure};
    let default = OutlierDetection::default();
    let three = OutlierDetection { consecutive_5xx_errors: Some(3), ..default.clone() };
    let gateway = OutlierDetection { consecutive_gateway_errors: Some(2), ..default.clone() };
    let off = OutlierDetection { consecutive_5xx_errors: Some(0), ..default.clone() };
    let split = OutlierDetection {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failures: Some(2),
        ..three.clone()
    };
    let (bad, good) = (Answered(500), Answered(404));
    for (rule, outcomes, expected) in [
        (&default, vec![bad; 6], Some((5, Consecutive5xx))),
        (&default, vec![bad, bad, bad, bad, good, bad, bad, bad, bad], None),
        (&three, vec![bad, Unreachable, TimedOut], Some((3, Consecutive5xx))),
        (&three, vec![bad, bad, Connected, bad], None),
        (&off, vec![bad; 100], None),
        (&gateway, vec![Answered(502), Answered(504)], Some((2, ConsecutiveGatewayFailure))),
        (&gateway, vec![Answered(503), bad, Answered(503)], None),
        (&gateway, vec![Unreachable, TimedOut], Some((2, ConsecutiveGatewayFailure))),
        (&split, vec![Unreachable, TimedOut], Some((2, ConsecutiveLocalOriginFailure))),
        (&split, vec![Unreachable, good, Unreachable, Connected, TimedOut], None),
        // The way to it says nothing of its own answers.
        (&split, vec![bad, bad, Connected, bad], Some((4, Consecutive5xx))),
    ] {
        assert_eq!(ejected_after(rule, &outcomes), expected, "{outcomes:?} with {rule:?}");
    }
}

fn fail(detector: &Detector, index: usize, now: Duration) -> Option<Change> {
    (0..5).filter_map(|_| detector.record(index, Answered(500), || now)).last()
}

#[test]
fn the_time_doubles_up_to_the_cap_and_shrinks_in_good_times() {
    let detector = detector(&OutlierDetection::default(), 1);
    let mut now = seconds(1);
    for expected in [30, 60, 120, 240, 300, 300, 300] {
        assert!(fail(&detector, 0, now).is_some());
        assert_eq!(detector.sweep(now + seconds(expected) - Duration::from_nanos(1)), []);
        now += seconds(expected);
        assert_eq!(detector.sweep(now), [Change { index: 0, ejected: None }]);
    }
    // Each good interval undoes a step: after two of them the time is that of one step less than the cap's.
    (0..2).for_each(|_| assert_eq!(detector.sweep(now), []));
    assert!(fail(&detector, 0, now).is_some());
    assert_eq!(detector.sweep(now + seconds(239)), []);
    assert_eq!(detector.sweep(now + seconds(240)).len(), 1);
    // A base time beyond the cap is the cap.
    let rule =
        OutlierDetection { base_ejection_time_ms: Some(600_000), ..OutlierDetection::default() };
    let detector = self::detector(&rule, 1);
    for _ in 0..2 {
        assert!(fail(&detector, 0, now).is_some());
        assert_eq!(detector.sweep(now + seconds(599)), []);
        now += seconds(600);
        assert_eq!(detector.sweep(now).len(), 1);
    }
}

#[test]
fn so_many_may_go_and_one_always() {
    for (percent, count, expected) in [
        (None, 3, 1),
        (None, 10, 1),
        (None, 30, 3),
        (Some(50), 4, 2),
        (Some(100), 4, 4),
        (Some(34), 3, 2),
    ] {
        let rule =
            OutlierDetection { max_ejection_percent: percent, ..OutlierDetection::default() };
        let detector = detector(&rule, count);
        let ejected = (0..count).filter_map(|index| fail(&detector, index, seconds(1))).count();
        assert_eq!((ejected, detector.ejected()), (expected, expected), "{percent:?} of {count}");
        // Who is out already does not count twice.
        assert_eq!(fail(&detector, 0, seconds(2)), None);
        assert_eq!(detector.ejected(), expected);
        assert_eq!(detector.sweep(seconds(31)).len(), expected);
        assert_eq!(detector.ejected(), 0);
    }
}

#[test]
fn without_a_rule_half_of_the_endpoints_may_go_and_no_more() {
    for (count, expected) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (100, 50)] {
        let settings = Settings::of(None, false).unwrap();
        let detector = Detector::new(settings, (0..count).map(|_| Arc::default()));
        let ejected = (0..count).filter_map(|index| fail(&detector, index, seconds(1))).count();
        assert_eq!((ejected, detector.ejected()), (expected, expected), "of {count}");
        assert_eq!(detector.sweep(seconds(30)), [], "30 s begin at the first second");
        assert_eq!(detector.sweep(seconds(31)).len(), expected);
        // What is told goes by the same share.
        let told = (0..count).filter_map(|index| detector.told(index, 1, seconds(31))).count();
        assert_eq!(told, expected, "of {count}");
    }
}

#[test]
fn without_a_rule_five_failures_in_a_row_eject_and_the_time_doubles() {
    let detector = Detector::new(Settings::default(), [Arc::default(), Arc::default()]);
    let fails = |outcomes: &[Outcome], now: Duration| {
        let records = outcomes.iter().map(|outcome| detector.record(0, *outcome, || now));
        records.flatten().count()
    };
    let bad = Answered(500);
    assert_eq!(fails(&[bad, bad, bad, bad, Answered(200), Unreachable, TimedOut], seconds(1)), 0);
    let mut now = seconds(1);
    for lasts in [30, 60, 120, 240, 300, 300] {
        assert_eq!(fails(&[bad, Unreachable, Unreachable, TimedOut, bad], now), 1);
        assert_eq!(detector.sweep(now + seconds(lasts) - Duration::from_nanos(1)), []);
        now += seconds(lasts);
        assert_eq!(detector.sweep(now).len(), 1);
    }
}

#[test]
fn nothing_is_detected_outside_of_the_mesh_and_where_a_rule_switches_it_off() {
    let rule = |errors, split| OutlierDetection {
        consecutive_5xx_errors: errors,
        consecutive_gateway_errors: Some(0),
        split_external_local_origin_errors: split,
        ..OutlierDetection::default()
    };
    let off = rule(Some(0), false);
    let share = Some(FailurePercentage::default());
    let share = OutlierDetection { failure_percentage: share, ..off.clone() };
    for (rule, is_external, expected) in [
        (None, false, true),
        (None, true, false),
        (Some(&rule(None, false)), true, true),
        (Some(&off), false, false),
        (Some(&off), true, false),
        // Failures of the way stay on: Istio knows no way to switch them off where they are split.
        (Some(&rule(Some(0), true)), false, true),
        (Some(&share), false, true),
    ] {
        let settings = Settings::of(rule, is_external);
        assert_eq!(settings.is_some(), expected, "{rule:?}, external: {is_external}");
        let always = settings.map(|settings| settings.always_eject_one);
        assert_eq!(always.unwrap_or(true), rule.is_some() || is_external, "{rule:?}");
    }
}

/// Records so many results of each endpoint of which so many are failures, without five in a row.
fn spread(detector: &Detector, failures: &[u32], total: u32) {
    for (index, failures) in failures.iter().enumerate() {
        for number in 0..total {
            let status = if number % 100 < *failures { 500 } else { 200 };
            detector.record(index, Answered(status), || seconds(1));
        }
    }
}

#[test]
fn statistics_eject_at_the_end_of_an_interval() {
    let rule = |success_rate, failure_percentage| OutlierDetection {
        consecutive_5xx_errors: Some(0),
        max_ejection_percent: Some(100),
        success_rate,
        failure_percentage,
        ..Default::default()
    };
    let rate = || Some(SuccessRate::default());
    let share = || Some(FailurePercentage::default());
    let out = |index, reason| Change { index, ejected: Some(reason) };
    for (rule, failures, total, expected) in [
        // 100, 100, 100, 100, 60: the average is 92, a standard deviation 16, so 61.6 is the least.
        (rule(rate(), None), vec![0, 0, 0, 0, 40], 100, vec![out(4, Reason::SuccessRate)]),
        // Too few requests, too few endpoints, nobody far from the others.
        (rule(rate(), None), vec![0, 0, 0, 0, 40], 99, vec![]),
        (rule(rate(), None), vec![0, 0, 0, 40], 100, vec![]),
        (rule(rate(), None), vec![10, 20, 30, 40, 50], 100, vec![]),
        (rule(None, share()), vec![0, 84, 85, 0, 0], 100, vec![out(2, Reason::FailurePercentage)]),
        (rule(None, share()), vec![0, 84, 85, 0], 100, vec![]),
        (rule(None, share()), vec![100; 5], 49, vec![]),
        // Istio leaves both off.
        (rule(None, None), vec![0, 0, 0, 0, 100], 100, vec![]),
        // Each goes once, whatever finds it.
        (rule(rate(), share()), vec![0, 0, 0, 0, 99], 100, vec![out(4, Reason::SuccessRate)]),
    ] {
        let detector = detector(&rule, failures.len());
        spread(&detector, &failures, total);
        assert_eq!(detector.sweep(seconds(10)), expected, "{failures:?} of {total}");
        // The next interval begins at nothing.
        assert_eq!(detector.sweep(seconds(20)), [], "{failures:?}");
        assert_eq!(detector.ejected(), expected.len());
    }
}

#[test]
fn what_is_known_of_an_endpoint_outlives_a_change_of_configuration() {
    let rule = OutlierDetection::default();
    let first = detector(&rule, 2);
    assert!(fail(&first, 1, seconds(1)).is_some());
    let hosts = [first.hosts()[1].clone(), Arc::default()];
    let second = Detector::new(Settings::from(&rule), hosts);
    assert!(second.hosts()[0].is_ejected());
    assert_eq!(second.ejected(), 1);
    assert_eq!(fail(&second, 1, seconds(2)), None, "one is out, so no other may go");
    assert_eq!(second.sweep(seconds(31)), [Change { index: 0, ejected: None }]);
    assert_eq!(second.record(7, Answered(500), || seconds(1)), None);
}

#[test]
fn threads_never_eject_more_than_is_allowed() {
    let detector = detector(&OutlierDetection::default(), 20);
    let ejected: usize = std::thread::scope(|scope| {
        let run = || (0..20).filter_map(|index| fail(&detector, index, seconds(1))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((ejected, detector.ejected()), (2, 2));
    assert_eq!(detector.hosts().iter().filter(|host| host.is_ejected()).count(), 2);
}

#[test]
fn what_another_caller_found_out_ejects_once_and_within_the_share() {
    let rule = OutlierDetection { max_ejection_percent: Some(50), ..OutlierDetection::default() };
    let hosts: Vec<Arc<Host>> = (0..3).map(|_| Arc::default()).collect();
    let detector = Detector::new(Settings::from(&rule), hosts);
    assert_eq!(detector.told(0, 0, seconds(1)), None, "nobody found anything");
    let change = detector.told(0, 7, seconds(1));
    assert_eq!(change, Some(Change { index: 0, ejected: Some(Reason::Told) }));
    assert_eq!(detector.told(0, 7, seconds(1)), None);
    assert!(detector.told(1, 8, seconds(1)).is_some());
    assert_eq!(detector.told(2, 9, seconds(1)), None, "half of three are out");
    let back = detector.sweep(seconds(31));
    assert_eq!(back.len(), 2);
    assert_eq!(detector.told(0, 7, seconds(32)), None, "it was told before");
    assert!(detector.told(0, 10, seconds(32)).is_some());
}

#[test]
fn an_endpoint_that_has_as_much_as_it_may_is_ejected_by_a_rule_alone() {
    use super::Outcome::Overloaded;
    let split = OutlierDetection {
        split_external_local_origin_errors: true,
        ..OutlierDetection::default()
    };
    for (settings, expected) in [
        (Settings::default(), None),
        (Settings::from(&OutlierDetection::default()), Some(Reason::Consecutive5xx)),
        (Settings::from(&split), Some(Reason::Consecutive5xx)),
    ] {
        let detector = Detector::new(settings, (0..4).map(|_| Arc::default()));
        let changes = (0..5).filter_map(|_| detector.record(0, Overloaded, || seconds(1)));
        assert_eq!(changes.last().and_then(|it| it.ejected), expected);
    }
    // It says nothing: failures before and after it are in a row.
    let detector = Detector::new(Settings::default(), (0..4).map(|_| Arc::default()));
    let outcomes = [Answered(500), Overloaded, Answered(500), Answered(500), Answered(500)];
    let record = |outcome| detector.record(0, outcome, || seconds(1));
    assert!(outcomes.into_iter().all(|it| record(it).is_none()));
    assert!(record(Answered(500)).is_some());
}
