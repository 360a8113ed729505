//! What a caller in plaintext may speak: all that the port takes from others.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use meltemi_tests::calls::Ask;
use meltemi_tests::client::{self, Http2};
use meltemi_tests::{GrpcApp, HttpApp, Mesh, TcpApp, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Policies, by_plaintext, mode};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spoken_is_found_as_it_is_of_others() {
    let mesh = Mesh::start().await;
    let (app, bytes) = (HttpApp::start("web").await, TcpApp::banner(b"220\r\n").await);
    let web = mesh.workload("web").port(app.port(), "").proxy().await;
    let declared = mesh.workload("declared").port(app.port(), "http2").proxy().await;
    let raw = mesh.workload("raw").port(bytes.port(), "").proxy().await;
    let calls = GrpcApp::start("calls-1").await;
    let of_grpc = mesh.workload("calls").port(calls.port(), "grpc").proxy().await;
    let policies = Policies::of(&mesh);
    let all = [&web, &declared, &raw, &of_grpc];
    policies.set(&[("istio-system", "mesh", mode("PERMISSIVE"))], &all).await;
    assert_eq!(by_plaintext(&web, "web").await, Some(false));
    for called in [&web, &declared] {
        let mut calls = Http2::connect(called.inbound).await;
        for path in ["/status/201", "/status/202"] {
            let request = Request::get(format!("http://web{path}")).body(Full::<Bytes>::default());
            let response = calls.call(request.unwrap()).await;
            assert_eq!(response.status().as_str(), &path[8..], "{}", called.workload);
        }
    }
    let mut calls = client::grpc(of_grpc.inbound).await;
    let answer = calls.unary(Ask { text: "one".to_owned(), ..Ask::default() }).await.unwrap();
    assert_eq!(answer.into_inner().served_by, "calls-1");
    let mut stream = TcpStream::connect(raw.inbound).await.unwrap();
    let mut banner = [0; 5];
    within("the banner", stream.read_exact(&mut banner)).await.unwrap();
    stream.write_all(b"EHLO").await.unwrap();
    let mut back = [0; 4];
    within("an echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!((&banner, &back), (b"220\r\n", b"EHLO"));
}
