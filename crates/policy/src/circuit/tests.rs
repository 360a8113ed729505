//! Limits hold, also among threads, and what is given back counts no more.

use super::Resource::{Connections, PendingRequests, Requests, Retries};
use super::*;
use crate::destination::rule::{ConnectionPool, HttpPool, TcpPool};

#[test]
fn limits_come_from_the_policy() {
    let http = HttpPool {
        http1_max_pending_requests: Some(2),
        http2_max_requests: Some(3),
        max_retries: Some(0),
        ..Default::default()
    };
    let tcp = TcpPool { max_connections: Some(1), ..Default::default() };
    let pool = ConnectionPool { tcp: Some(tcp), http: Some(http) };
    let policy = TrafficPolicy { connection_pool: Some(pool), ..Default::default() };
    let circuit = Circuit::new(Limits::from(&policy), Arc::default());
    let limits = [Connections, PendingRequests, Requests, Retries].map(|it| circuit.limit(it));
    assert_eq!(limits, [1, 2, 3, u32::MAX]);
    assert_eq!(Limits::from(&TrafficPolicy::default()), Limits::default());
}

#[test]
fn a_limit_holds_until_something_is_given_back() {
    let limits = Limits { requests: 2, ..Default::default() };
    let circuit = Circuit::new(limits, Arc::default());
    let first = circuit.try_acquire(Requests).unwrap();
    let second = circuit.try_acquire(Requests).unwrap();
    assert!(circuit.try_acquire(Requests).is_none() && circuit.is_open(Requests));
    // Other resources have no limit, and are not counted.
    let _unlimited: Vec<Permit> = (0..9).filter_map(|_| circuit.try_acquire(Connections)).collect();
    assert_eq!((circuit.count(Requests), circuit.count(Connections)), (2, 0));
    assert!(!circuit.is_open(Connections));
    drop(first);
    let third = circuit.try_acquire(Requests).unwrap();
    drop((second, third));
    assert_eq!(circuit.count(Requests), 0);
}

#[test]
fn new_limits_know_what_the_old_ones_let_through() {
    let counts = Arc::new(Counts::default());
    let wide = Circuit::new(Limits { requests: 3, ..Default::default() }, counts.clone());
    let mut held: Vec<Permit> = (0..3).filter_map(|_| wide.try_acquire(Requests)).collect();
    let narrow = Circuit::new(Limits { requests: 2, ..Default::default() }, counts);
    assert!(narrow.try_acquire(Requests).is_none());
    held.truncate(1);
    assert!(narrow.try_acquire(Requests).is_some());
}

#[test]
fn a_budget_grows_with_requests() {
    let budget = RetryBudget { percent: 50.0, min_retry_concurrency: 1 };
    let limits = Limits { retries: 0, retry_budget: Some(budget), ..Default::default() };
    let circuit = Circuit::new(limits, Arc::default());
    let retry = circuit.try_acquire(Retries).unwrap();
    assert!(circuit.try_acquire(Retries).is_none());
    let requests: Vec<Permit> = (0..3).filter_map(|_| circuit.try_acquire(Requests)).collect();
    let waiting = circuit.try_acquire(PendingRequests).unwrap();
    // Half of four.
    assert_eq!(circuit.limit(Retries), 2);
    let second = circuit.try_acquire(Retries).unwrap();
    assert!(circuit.try_acquire(Retries).is_none());
    drop((requests, waiting, retry, second));
    assert_eq!((circuit.limit(Retries), circuit.count(Retries)), (1, 0));
}

#[test]
fn threads_keep_to_a_limit_together() {
    let circuit = Circuit::new(Limits { connections: 10, ..Default::default() }, Arc::default());
    let held: Vec<Permit> = std::thread::scope(|scope| {
        let run = || (0..100).filter_map(|_| circuit.try_acquire(Connections)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((held.len(), circuit.count(Connections)), (10, 10));
    drop(held);
    assert_eq!(circuit.count(Connections), 0);
}
