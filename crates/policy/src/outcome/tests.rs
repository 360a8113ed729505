use proptest::prelude::*;

use super::*;

fn tally(latencies: impl IntoIterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for micros in latencies {
        tally.issued += 1;
        tally.record(None, micros);
    }
    tally
}

#[test]
fn buckets_lie_side_by_side() {
    let mut before = 0;
    for micros in 0..200_000 {
        let bucket = bucket(micros);
        assert!(bucket == before || bucket == before + 1, "{micros}");
        before = bucket;
    }
    assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    assert_eq!(bucket((1 << 32) - 1), BUCKETS - 1);
}

#[test]
fn answers_are_failures_as_load_reports_have_it() {
    for (status, grpc, expected) in [
        (200, None, None),
        (404, None, None),
        (499, None, None),
        (500, None, Some(Class::Status5xx)),
        (200, Some(0), None),
        (200, Some(5), None),
        (200, Some(14), Some(Class::Grpc)),
        (503, Some(14), Some(Class::Grpc)),
    ] {
        assert_eq!(Class::of_answer(status, grpc), expected, "{status} {grpc:?}");
    }
    for (index, class) in Class::ALL.into_iter().enumerate() {
        assert_eq!(class as usize, index);
    }
}

#[test]
fn nothing_is_longer_than_the_least_code() {
    let mut latency = Sketch::default();
    (0..BUCKETS).for_each(|bucket| latency.add(bucket, u64::MAX));
    let most = u64::MAX;
    let whole = Tally {
        issued: most,
        calls: most,
        failures: [most; CLASSES],
        sent: most,
        received: most,
        in_flight: most,
        micros: most,
        latency,
    };
    let code = whole.encode(0);
    assert!(code.len() <= MIN_CODE, "{}", code.len());
    assert_eq!(Tally::decode(&code).unwrap().calls, u64::from(u32::MAX));
}

#[test]
fn an_idle_endpoint_costs_two_bytes() {
    assert_eq!(Tally::default().encode(200), [0, 0]);
    assert_eq!(Tally::decode(&[0, 0]), Some(Tally::default()));
    assert_eq!(Sketch::default().quantile(0.5), None);
}

#[test]
fn what_is_no_code_is_refused() {
    for wrong in [
        &[][..],
        &[0],
        &[1, 0],
        &[0, 0xff],
        &[0, 0, 7, 0, 1],
        &[0, 0, 0, 0, 0],
        &[0, 0, 0, 0xff, 0xff, 0x7f, 1],
        &[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        assert_eq!(Tally::decode(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn quantiles_are_within_the_error_that_is_told(
        latencies in prop::collection::vec(0_u64..60_000_000, 1..400),
        share in 0.0_f64..=1.0,
        limit in prop_oneof![Just(MIN_CODE), Just(160), Just(4096)],
    ) {
        let code = tally(latencies.iter().copied()).encode(limit);
        prop_assert!(code.len() <= limit);
        let read = Tally::decode(&code).unwrap();
        let mut sorted = latencies;
        sorted.sort_unstable();
        let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let (exact, told) = (sorted[rank - 1] as f64, read.latency.quantile(share).unwrap() as f64);
        // The error is a share of the bucket's lowest latency; below 16 µs it is half a microsecond at the finest.
        let allowed = read.latency.error() * exact + read.latency.error() * 32.0;
        prop_assert!((told - exact).abs() <= allowed, "{told} for {exact}, {allowed} allowed");
    }

    #[test]
    fn adding_up_and_writing_down_commute(
        one in prop::collection::vec(0_u64..100_000, 0..40),
        two in prop::collection::vec(0_u64..100_000, 0..40),
    ) {
        let mut sum = tally(one.iter().copied());
        sum.merge(&tally(two.iter().copied()));
        prop_assert_eq!(&sum, &tally(one.iter().chain(&two).copied()));
        let read = Tally::decode(&sum.encode(4096)).unwrap();
        prop_assert_eq!(read, sum);
    }

    #[test]
    fn no_bytes_make_it_stumble(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(tally) = Tally::decode(&bytes) {
            let again = Tally::decode(&tally.encode(4096)).unwrap();
            prop_assert_eq!(again.calls, tally.calls.min(u64::from(u32::MAX)));
        }
    }
}
