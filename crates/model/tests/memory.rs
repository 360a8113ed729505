//! The memory that outcomes of 10,000 endpoints take, as the kernel counts it. A test program of its own: whatever else ran in
//! this process would be counted with it.

use std::sync::Arc;

use meltemi_model::outcomes::{EndpointId, Outcomes, WINDOW};
use meltemi_policy::outcome::{Class, Tally};

const START: u32 = 1_800_000_000;
const ENDPOINTS: usize = 10_000;
const SECONDS: u32 = 20;
/// The promise: so many bytes for each endpoint, caller and window, the allocator's own included.
const PROMISED: usize = 200;

/// A second with so many different latencies that its code is as long as may be.
fn busy(seed: u64) -> Tally {
    let mut tally = Tally { issued: 900, sent: 90_000, received: 9_000_000, ..Tally::default() };
    for call in 0..900 {
        let micros = 50 + (call * 7919 + seed * 31) % 200 * call;
        tally.record((call % 90 == 0).then_some(Class::Status5xx), micros);
    }
    tally
}

/// Resident memory, bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
    let pages: usize = text.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    pages * 4096
}

#[test]
fn an_endpoint_caller_and_window_take_no_more_than_promised() {
    const { assert!(WINDOW <= PROMISED) };
    let tallies: Vec<Tally> = (0..8).map(busy).collect();
    let codes: Vec<usize> = tallies.iter().map(|it| it.encode(160).len()).collect();
    assert!(codes.iter().all(|code| (90..=160).contains(code)), "it is no easy case: {codes:?}");
    let (namespace, caller): (Arc<str>, Arc<str>) = ("shop".into(), "shop/caller".into());
    let mut outcomes = Outcomes::default();
    let ids: Vec<EndpointId> = (0..ENDPOINTS)
        .map(|at| EndpointId {
            host: "hello.shop".into(),
            port: 80,
            workload: format!("shop/hello-{at}").into(),
        })
        .collect();
    let before = resident();
    for second in 0..SECONDS {
        for (at, id) in ids.iter().enumerate() {
            let tally = &tallies[(at + second as usize) % tallies.len()];
            assert!(outcomes.record(id, &namespace, &caller, tally, START + second));
        }
    }
    let windows = outcomes.size().1;
    assert_eq!(windows, ENDPOINTS * SECONDS as usize);
    let each = resident().saturating_sub(before) / windows;
    println!("{each} bytes a window of {windows}");
    assert!(each <= PROMISED, "{each} bytes, the tables of endpoints included");
}
