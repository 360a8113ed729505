use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use meltemi_wire::proto::meltemi::v1::probe::Way as Told;
use meltemi_wire::proto::meltemi::v1::{ExecProbe, Probe};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::super::plan::{Place, Way};
use super::super::tally::Thresholds;
use super::*;

#[tokio::test(start_paused = true)]
async fn attempts_begin_after_the_delay_and_follow_in_the_period() {
    let second = Duration::from_secs(1);
    let plan = Plan {
        delay: 5 * second,
        timeout: second,
        period: 10 * second,
        thresholds: Thresholds { success: NonZeroU32::MIN, failure: NonZeroU32::new(2).unwrap() },
        way: Way::Tcp(Place::local(1)),
    };
    let outcomes = Arc::new(Mutex::new(VecDeque::from([true, false, false, true])));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let health = AppHealth::unknown("");
    let mut states = health.watch();
    let began = Instant::now();
    let (prober, moments) = (health.clone(), asked.clone());
    let probing = tokio::spawn(async move {
        probe_with(&prober, &plan, began + plan.delay, || {
            moments.lock().push(began.elapsed().as_secs());
            let outcome = outcomes.lock().pop_front().unwrap_or(true);
            async move { outcome.then_some(()).ok_or_else(|| "broken".to_owned()) }
        })
        .await;
    });
    states.wait_for(|state| state.reason.contains("not succeeded yet")).await.unwrap();
    states.wait_for(|state| state.ready).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    let state = states.wait_for(|state| !state.ready).await.unwrap().clone();
    assert_eq!((began.elapsed().as_secs(), &*state.reason), (25, "broken"));
    states.wait_for(|state| state.ready).await.unwrap();
    assert_eq!(*asked.lock(), [5, 15, 25, 35]);
    probing.abort();
}

#[tokio::test]
async fn a_member_is_asked_as_its_group_says_at_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, news) = watch::channel(Err("no group".to_owned()));
    let health = AppHealth::unknown("");
    let mut states = health.watch();
    let prober = health.clone();
    let probing = tokio::spawn(async move { prober.run_member(news, false, At::Loopback).await });
    states.wait_for(|state| state.reason == "no group").await.unwrap();
    // Without a probe its ports are asked.
    tell.send(Ok(Group { ports: vec![port.into()], probe: None })).unwrap();
    states.wait_for(|state| state.ready).await.unwrap();
    // The verdict of before stands until the new probe has its own.
    let exec = ExecProbe { command: vec!["true".into()] };
    let probe = Probe { failure_threshold: 1, way: Some(Told::Exec(exec)), ..Probe::default() };
    tell.send(Ok(Group { ports: Vec::new(), probe: Some(probe) })).unwrap();
    let state = states.wait_for(|state| !state.ready).await.unwrap().clone();
    assert!(state.reason.contains("--allow-exec-probes"), "{}", state.reason);
    tell.send(Ok(Group { ports: vec![port.into()], probe: Some(Probe::default()) })).unwrap();
    states.wait_for(|state| state.reason.contains("cannot be run")).await.unwrap();
    tell.send(Ok(Group { ports: vec![port.into()], probe: None })).unwrap();
    states.wait_for(|state| state.ready).await.unwrap();
    probing.abort();
}
