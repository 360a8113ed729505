use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;

/// An application made of thought: which ports answer, and when each was asked.
#[derive(Debug, Clone, Default)]
struct App {
    open: Arc<Mutex<BTreeSet<u16>>>,
    asked: Arc<Mutex<Vec<(Instant, u16)>>>,
}

impl App {
    fn answers(&self, port: u16) -> Ready<bool> {
        self.asked.lock().push((Instant::now(), port));
        ready(self.open.lock().contains(&port))
    }

    fn watched(&self, ports: &[u16]) -> (AppHealth, watch::Receiver<State>) {
        let health = AppHealth::new(ports.iter().copied());
        let (app, prober) = (self.clone(), health.clone());
        tokio::spawn(async move { prober.run_with(|port| app.answers(port)).await });
        let states = health.watch();
        (health, states)
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_every_port_answers_and_left_alone_from_then_on() {
    let app = App::default();
    let (_health, mut states) = app.watched(&[1, 2]);
    assert!(!states.borrow().ready);
    app.open.lock().insert(1);
    states.wait_for(|state| state.reason.ends_with("on port 2")).await.unwrap();
    app.open.lock().insert(2);
    states.wait_for(|state| state.ready).await.unwrap();
    assert_eq!(states.borrow().reason, "");

    let asked = app.asked.lock().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(app.asked.lock().len(), asked, "nobody is probed without a reason");
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_a_quarter_of_a_second() {
    let app = App::default();
    let (_health, mut states) = app.watched(&[1]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let waits: Vec<u128> = {
        let asked = app.asked.lock();
        asked.windows(2).map(|two| (two[1].0 - two[0].0).as_millis()).collect()
    };
    assert_eq!(waits[..6], [20, 40, 80, 160, 250, 250]);
    app.open.lock().insert(1);
    let before = Instant::now();
    states.wait_for(|state| state.ready).await.unwrap();
    assert!(before.elapsed() <= LONGEST_WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_it_out_until_the_port_answers_again() {
    let app = App::default();
    app.open.lock().extend([1, 2]);
    let (health, mut states) = app.watched(&[1, 2]);
    states.wait_for(|state| state.ready).await.unwrap();
    health.report_refused(9);
    app.open.lock().remove(&1);
    health.report_refused(1);
    health.report_refused(1);
    states.wait_for(|state| !state.ready).await.unwrap();
    assert!(states.borrow().reason.contains("port 1"), "{}", states.borrow().reason);
    let asked = app.asked.lock().len();
    app.open.lock().insert(1);
    states.wait_for(|state| state.ready).await.unwrap();
    assert!(app.asked.lock()[asked..].iter().all(|(_, port)| *port == 1), "port 2 was never lost");
}

#[tokio::test]
async fn without_a_port_it_is_ready_at_once() {
    assert!(AppHealth::new([]).watch().borrow().ready);
}

#[tokio::test]
async fn real_ports_are_found_on_either_loopback_address() {
    let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let v6 = TcpListener::bind("[::1]:0").await.unwrap();
    let (four, six) = (v4.local_addr().unwrap().port(), v6.local_addr().unwrap().port());
    let health = AppHealth::new([four, six]);
    let prober = health.clone();
    let task = tokio::spawn(async move { prober.run(At::Loopback).await });
    let mut states = health.watch();
    states.wait_for(|state| state.ready).await.unwrap();

    drop(v4);
    health.report_refused(four);
    states.wait_for(|state| !state.ready).await.unwrap();
    let _back = TcpListener::bind(("127.0.0.1", four)).await.unwrap();
    states.wait_for(|state| state.ready).await.unwrap();
    task.abort();
}
