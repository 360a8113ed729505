use std::time::{Duration, Instant};

use meltemi_policy::outcome::Class;
use meltemi_policy::outlier::{Out, Reason};
use meltemi_wire::load_stats::Extension;

use super::*;

fn named(workload: &str, locality: &str) -> Named {
    Named {
        host: "hello.shop".into(),
        port: 80,
        workload: workload.into(),
        address: ("10.0.0.1".into(), 8080),
        locality: locality.into(),
    }
}

#[test]
fn calls_of_all_workers_are_one_report_and_the_next_begins_anew() {
    let outcomes = Outcomes::new(2);
    let counted = outcomes.enter(named("shop/1", "r/z"));
    let now = Instant::now();
    for worker in 0..3 {
        Ongoing::new(&*counted, worker, now).end(None, 10, 20);
    }
    Ongoing::new(&*counted, 0, now).end(Some(Class::Connect), 0, 0);
    drop(Ongoing::new(&*counted, 1, now));
    let open = Ongoing::new(counted.clone(), 1, now);
    let report = outcomes.take(true);
    assert_eq!(report[0].cluster_name, "outbound|80||hello.shop");
    let locality = &report[0].upstream_locality_stats[0];
    let zone = locality.locality.as_ref().map(|it| (it.region.as_str(), it.zone.as_str()));
    assert_eq!(zone, Some(("r", "z")));
    let endpoint = &locality.upstream_endpoint_stats[0];
    let told = |it: &meltemi_wire::load_stats::UpstreamEndpointStats| {
        [
            it.total_successful_requests,
            it.total_error_requests,
            it.total_requests_in_progress,
            it.total_issued_requests,
        ]
    };
    assert_eq!(told(endpoint), [3, 1, 1, 6]);
    let extension = Extension::of_metadata(endpoint.metadata.as_ref());
    assert_eq!(extension.workload.as_deref(), Some("shop/1"));
    let tally = extension.tally.unwrap();
    assert_eq!((tally.sent, tally.received, tally.calls), (30, 60, 4));
    assert_eq!(tally.failures[Class::Connect as usize], 1);
    assert_eq!(tally.latency.count(), 4);
    // What is under way is told each time; what has ended only once.
    let again = outcomes.take(true);
    let again = &again[0].upstream_locality_stats[0].upstream_endpoint_stats[0];
    assert_eq!(told(again), [0, 0, 1, 0]);
    drop(open);
    assert!(outcomes.take(true).is_empty());
}

#[test]
fn an_endpoint_that_is_gone_is_told_of_once_more() {
    let outcomes = Outcomes::new(1);
    let counted = outcomes.enter(named("shop/1", ""));
    Ongoing::new(&*counted, 0, Instant::now()).end(None, 0, 0);
    drop(counted);
    let report = outcomes.take(false);
    assert!(report[0].upstream_locality_stats[0].upstream_endpoint_stats.is_empty());
    assert_eq!(report[0].upstream_locality_stats[0].total_successful_requests, 1);
    assert!(outcomes.kept.lock().is_empty());
}

#[tokio::test]
async fn an_ejection_is_urgent() {
    let outcomes = Outcomes::new(1);
    let counted = outcomes.enter(named("shop/1", ""));
    let urgent = outcomes.urgent();
    let left = Duration::from_millis(29_001);
    counted.tell_ejected(Out { reason: Reason::Consecutive5xx, left });
    urgent.notified().await;
    let report = outcomes.take(true);
    let endpoint = &report[0].upstream_locality_stats[0].upstream_endpoint_stats[0];
    let extension = Extension::of_metadata(endpoint.metadata.as_ref());
    assert_eq!(extension.ejected.as_deref(), Some("consecutive_5xx"));
    assert_eq!(extension.ejected_for, Some(Duration::from_secs(30)));
    assert!(outcomes.take(true).is_empty());
}
