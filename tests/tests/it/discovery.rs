//! Changes on their way to many proxies.

use std::time::{Duration, Instant};

use meltemi_tests::{HttpApp, Mesh, eventually};

const PROXIES: usize = 10;

fn entry(port: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: far}}\n\
         spec:\n  hosts: [far.example]\n  location: MESH_EXTERNAL\n  resolution: STATIC\n\
         \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
         \x20 endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_data_path_of_ten_proxies() {
    let mesh = Mesh::start().await;
    let [before, after] = [HttpApp::start("before").await, HttpApp::start("after").await];
    mesh.apply(&entry(before.port())).await;
    let mut clients = Vec::new();
    for _ in 0..PROXIES {
        let client = mesh.client().await;
        let mut calls = client.http().await;
        let response = calls.get("http://far.example/").await;
        assert_eq!(response.served_by(), "before", "{}: {}", response.status, response.text());
        clients.push((client, calls));
    }
    let (status, mut object) =
        mesh.api().get("/apis/networking.istio.io/v1/namespaces/default/serviceentries/far").await;
    assert_eq!(status, 200, "{object}");
    object["spec"]["endpoints"][0]["ports"]["http"] = after.port().into();
    let path = "/apis/networking.istio.io/v1/namespaces/default/serviceentries/far";
    let api = mesh.api();
    let changed = Instant::now();
    let (status, refusal) = api.call("PUT", path, "application/json", &object).await;
    assert_eq!(status, 200, "{refusal}");
    for (at, (_, calls)) in clients.iter_mut().enumerate() {
        eventually(&format!("proxy {at} follows"), async || {
            match calls.get("http://far.example/").await.served_by() {
                "after" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await;
    }
    let elapsed = changed.elapsed();
    eprintln!("{PROXIES} proxies called the new endpoint {elapsed:?} after the change");
    // A tenth of a second is promised; a busy machine may take twenty times as much.
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    // Nobody falls back.
    for (_, calls) in &mut clients {
        assert_eq!(calls.get("http://far.example/").await.served_by(), "after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_object_is_set_aside_and_blocks_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let app = HttpApp::start("good").await;
    let good = entry(app.port());
    std::fs::write(directory.path().join("good.yaml"), good).unwrap();
    let bad = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: bad}\n\
               spec: {hosts: [bad.example], ports: [{number: 70000, name: http}]}\n";
    std::fs::write(directory.path().join("bad.yaml"), bad).unwrap();
    let store = format!("dir:{}", directory.path().display());
    let mesh = Mesh::start_with(&["--store", &store]).await;
    let client = mesh.client().await;
    let response = client.http().await.get("http://far.example/").await;
    assert_eq!((response.status, response.served_by()), (200, "good"), "{}", response.text());
}
