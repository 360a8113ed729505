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

/// Of how many microseconds a latency may be off that a sketch tells.
fn allowed(sketch: &Sketch, exact: u64) -> f64 {
    let finest = 1.0 / 32.0;
    let joined = if sketch.error() > finest { sketch.error() * 32.0 } else { 0.0 };
    (sketch.error() * exact as f64).max(joined / 2.0)
}

/// The edges of buckets and doublings, primes, and what lies beside them.
const ODD: [u64; 40] = [
    0,
    1,
    2,
    7,
    15,
    16,
    17,
    31,
    32,
    33,
    47,
    48,
    63,
    64,
    65,
    97,
    127,
    128,
    129,
    255,
    256,
    511,
    512,
    997,
    1_000,
    1_023,
    1_024,
    4_097,
    9_973,
    16_383,
    65_535,
    65_537,
    99_991,
    999_983,
    1_000_003,
    59_999_999,
    599_999_993,
    2_147_483_647,
    2_147_483_648,
    4_294_967_295,
];

#[test]
fn one_latency_is_told_within_the_error_however_coarse_it_is() {
    for coarse in 0..=6 {
        let mut worst = 0_f64;
        for exact in ODD {
            let sketch = Sketch::of_coarse(coarse, [(bucket(exact) >> coarse, 1)]);
            let told = sketch.quantile(0.5).unwrap();
            let off = (told as f64 - exact as f64).abs();
            assert!(off <= allowed(&sketch, exact), "{exact} told as {told}, coarse {coarse}");
            if exact >= 128 {
                worst = worst.max(off / exact as f64 / sketch.error());
            }
        }
        // The bound is no larger than it has to be.
        assert!(worst > 0.9, "coarse {coarse}: {worst}");
    }
}

/// As they come to a reader: told by proxies once a window each, put together there, and written down in few bytes.
#[test]
fn quantiles_of_windows_that_add_up_are_within_the_error_that_is_told() {
    let slow_tail = (0..990).map(|it| 1_000 + it).chain((0..10).map(|it| 2_000_003 + it * 9_973));
    let doublings = (0..32).flat_map(|it| [(1 << it) - 1, 1 << it, (1 << it) + 1]);
    let tables: [Vec<u64>; 5] = [
        vec![1_000_003],
        ODD.to_vec(),
        slow_tail.collect(),
        doublings.filter(|it| *it < 1 << 32).collect(),
        (0..3_000_u64).map(|it| it * it * 331 % 4_000_037).collect(),
    ];
    for (number, mut latencies) in tables.into_iter().enumerate() {
        for limit in [MIN_CODE, 160, 1024] {
            let mut kept = Tally::default();
            for window in latencies.chunks(7) {
                let told = tally(window.iter().copied()).encode(1024);
                kept.merge(&Tally::decode(&told).unwrap());
                kept = Tally::decode(&kept.encode(limit)).unwrap();
            }
            latencies.sort_unstable();
            for share in [0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let rank = (share * latencies.len() as f64).ceil() as usize;
                let exact = latencies[rank - 1];
                let told = kept.latency.quantile(share).unwrap();
                let off = (told as f64 - exact as f64).abs();
                let allowed = allowed(&kept.latency, exact);
                assert!(off <= allowed, "{number}, {limit}, {share}: {exact} told as {told}");
            }
            let mean = latencies.iter().sum::<u64>() / latencies.len() as u64;
            assert_eq!(kept.micros / kept.calls, mean, "the mean has no error");
        }
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
