//! HTTP/2 with prior knowledge, through the mesh and between the versions.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use meltemi_tests::client::Http2;
use meltemi_tests::{HttpApp, Mesh, Sidecar, free_port};
use serde_json::Value;

async fn pair(mesh: &Mesh, protocol: &str) -> (HttpApp, [Sidecar; 2], Http2) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), protocol).proxy().await;
    let listen = free_port();
    let upstream = format!("hello:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let calls = Http2::connect(([127, 0, 0, 1], listen).into()).await;
    (app, [sidecar, client], calls)
}

fn request(path: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let uri = format!("http://hello{path}");
    Request::post(uri).body(Full::new(Bytes::from_static(body))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_connection_run_side_by_side() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, mut calls) = pair(&mesh, "http2").await;
    let mut slow = calls.clone();
    let held = tokio::spawn(async move { slow.call(request("/hold", b"")).await });
    meltemi_tests::eventually("a held request", async || match app.in_flight() {
        1 => Ok(()),
        other => Err(format!("{other} in flight")),
    })
    .await;
    for _ in 0..20 {
        let response = calls.call(request("/echo", b"hello")).await;
        let echo: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((&echo["version"], &echo["body"]), (&"HTTP/2.0".into(), &5.into()));
    }
    app.release();
    assert_eq!(held.await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_http1_is_called_in_http1() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh, "http").await;
    let response = calls.call(request("/echo?q=1", b"four")).await;
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    let echo: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((&echo["version"], &echo["body"]), (&"HTTP/1.1".into(), &4.into()));
    let target = echo["target"].as_str().unwrap();
    assert!(target.ends_with("/echo?q=1"), "{target}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_the_windows_in_both_directions() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh, "http2").await;
    let body: &'static [u8] = vec![b'z'; 3_000_000].leak();
    let echo = calls.call(request("/echo", body)).await;
    let echo: Value = serde_json::from_slice(echo.body()).unwrap();
    assert_eq!(echo["body"], 3_000_000);
    assert_eq!(calls.call(request("/stream/3000000", b"")).await.body().len(), 3_000_000);
}
