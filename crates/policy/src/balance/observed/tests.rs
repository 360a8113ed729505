//! What is known of an endpoint, over time.

use proptest::prelude::*;

use super::*;

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_word_is_believed_for_a_second_and_charged_for_each_choice() {
    let seen = Observed::default();
    assert_eq!(seen.report(at(0)), None);
    let report = Report { in_flight: 3.0, latency: at(20), answers_probes: false };
    seen.note(report, at(5000));
    assert_eq!(seen.report(at(6000)), Some(report));
    seen.charge();
    seen.charge();
    assert_eq!(seen.report(at(5500)).unwrap().in_flight, 3.0 + 2.0 * CHARGE);
    assert_eq!(seen.report(at(6001)), None);
    seen.note(report, at(6001));
    assert_eq!(seen.report(at(6001)).unwrap().in_flight, 3.0);
}

#[test]
fn it_does_too_much_for_as_long_as_its_word_is_believed() {
    let seen = Observed::default();
    assert!(!seen.is_over(at(0)));
    seen.note_utilization(1.5, at(5000));
    assert!(seen.is_over(at(6000)) && !seen.is_over(at(6001)));
    seen.note_utilization(1.0, at(6000));
    assert!(!seen.is_over(at(6000)), "just all that it should do");
    seen.note_utilization(1.5, at(0));
    for wrong in [f32::NAN, f32::INFINITY, -1.0] {
        seen.note_utilization(wrong, at(500));
    }
    assert!(seen.is_over(at(1000)), "nonsense says nothing");
}

#[test]
fn it_fails_after_six_failures_in_a_row_and_at_once_again_afterwards() {
    let seen = Observed::default();
    let failing: Vec<bool> = (0..8).map(|_| seen.is_failing(true)).collect();
    assert_eq!(failing, [false, false, false, false, false, true, true, true]);
    seen.avoid(at(100));
    assert!(seen.is_avoided(at(1099)) && !seen.is_avoided(at(1100)));
    assert!(seen.is_failing(true), "the first after its time");
    let recovered = (0..).take_while(|_| !seen.is_failing(false)).take(40).count();
    assert_eq!(recovered, 40);
    assert!(!seen.is_failing(true), "one failure among many");
}

#[test]
fn a_peak_counts_at_once_and_is_forgotten_slowly() {
    let seen = Observed::default();
    assert_eq!(seen.peak(at(0)), None);
    seen.time(at(10), at(1000));
    seen.time(at(900), at(1001));
    seen.time(at(10), at(1002));
    assert!((0.89..=0.9).contains(&seen.peak(at(1002)).unwrap()));
    let later = seen.peak(at(11_002)).unwrap();
    assert!((0.32..0.34).contains(&later), "{later}: a third after ten seconds");
}

proptest! {
    /// Whatever comes and in whatever order, a peak lies within what was seen.
    #[test]
    fn a_peak_lies_within_what_was_seen(
        calls in prop::collection::vec((0..100_000u32, 0..5000u32), 1..60),
        start in prop_oneof![Just(0u64), Just(u64::from(u32::MAX) - 1000), any::<u32>().prop_map(u64::from)],
    ) {
        let seen = Observed::default();
        let mut now = at(start);
        for (micros, pause) in &calls {
            now += at((*pause).into());
            seen.time(Duration::from_micros((*micros).into()), now);
        }
        let most = calls.iter().map(|(micros, _)| *micros as f32 / 1e6).fold(0.0, f32::max);
        let peak = seen.peak(now).unwrap_or_default();
        prop_assert!(peak >= 0.0 && peak <= most * 1.0001 + 1e-9, "{} of {}", peak, most);
        prop_assert!(seen.peak(now + at(500)).unwrap_or_default() <= peak);
    }
}
