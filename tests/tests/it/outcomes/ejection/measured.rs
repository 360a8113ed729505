//! How long it takes until what one caller found out holds for another, by the clock of the machine that both run on.

use std::time::Duration;

use meltemi_tests::{HttpApp, Mesh, Sidecar, eventually};

/// So often it is measured.
const TIMES: usize = 50;

/// The seconds of a day.
const DAY: f64 = 86_400.0;

/// When a sidecar logged a line with these words: the second of the day.
async fn logged(sidecar: &Sidecar, words: [&str; 2]) -> f64 {
    eventually(words[0], async || {
        let log = sidecar.process.log();
        let is_it = |line: &&str| words.iter().all(|it| line.contains(it));
        let line = log.lines().find(is_it).ok_or_else(|| log.clone())?;
        // `2026-11-28T17:20:00.123456Z`
        let time = line.split('T').nth(1).and_then(|rest| rest.split('Z').next());
        let parts = time.into_iter().flat_map(|time| time.split(':'));
        let parts = parts.map(str::parse).collect::<Result<Vec<f64>, _>>();
        match parts.as_deref() {
            Ok([hours, minutes, seconds]) => Ok((hours * 60.0 + minutes) * 60.0 + seconds),
            _ => Err(format!("no time: {line}")),
        }
    })
    .await
}

/// Services each of which one caller finds to fail while another has it in use. Each is ejected by the one when its fifth call
/// fails, and by the other when that has been told: the difference of both lines of the logs is what is measured.
#[ignore = "a measurement: `cargo test -p meltemi-tests --test it how_soon -- --ignored --nocapture`"]
#[tokio::test(flavor = "multi_thread")]
async fn how_soon_another_callers_finding_holds() {
    let mesh = Mesh::start().await;
    let (bad, good) = (HttpApp::start("bad").await, HttpApp::start("good").await);
    let (a, b) = (mesh.workload("a").proxy().await, mesh.workload("b").proxy().await);
    let mut took = Vec::with_capacity(TIMES);
    for number in 0..TIMES {
        // Nobody fails yet: the other caller has a use for the service before.
        bad.set_status(200);
        let endpoint = |name: &str, port: u16| {
            format!("{{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{app: {name}}}}}")
        };
        mesh.apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: s{number}}},
              spec: {{hosts: [s{number}.example.com], location: MESH_INTERNAL, resolution: STATIC,
                ports: [{{number: 80, name: http, protocol: HTTP}}],
                endpoints: [{}, {}]}}}}",
            endpoint("bad", bad.port()),
            endpoint("good", good.port()),
        ))
        .await;
        let target = format!("http://s{number}.example.com/set");
        for caller in [&a, &b] {
            caller.until("it is there", &target, |answer| answer.status == 200).await;
        }
        bad.set_status(500);
        let mut calls = a.http().await;
        let mut failed = 0;
        while failed < 5 {
            failed += u32::from(calls.call("POST", &target, &[], b"").await.status == 500);
        }
        let host = format!("s{number}.example.com");
        let begun = logged(&a, [&host, "reason=\"consecutive_5xx\""]).await;
        let ended = logged(&b, [&host, "reason=\"told\""]).await;
        took.push(Duration::from_secs_f64((ended - begun).rem_euclid(DAY)));
    }
    took.sort_unstable();
    println!("median {:?}, most {:?}, of {TIMES}", took[TIMES / 2], took[TIMES - 1]);
    assert!(took[TIMES - 1] < Duration::from_secs(2), "promised are two seconds: {took:?}");
}
