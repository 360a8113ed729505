//! The mesh inside a program: calls and handlers of the Rust SDK, beside sidecars.

mod bad_input;
mod bodies;
mod serving;
mod users;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use meltemi_sdk::{Control, Mesh as Program, Service, Token};
use meltemi_tests::Mesh;

/// Joins the mesh under test, as a program of the same user on the same machine.
async fn join(mesh: &Mesh) -> Program {
    Program::connect(Control::local(mesh.state()), Token::Own).await.expect("the mesh is joined")
}

fn get(uri: &str) -> Request<Empty<Bytes>> {
    Request::get(uri).body(Empty::new()).expect("a request")
}

/// A service that answers each request with a text.
fn saying(name: &str, port: u16, text: &str) -> Service {
    let text = Bytes::from(text.to_owned());
    Service::new(name, port).handler_fn(move |_: Request<Incoming>| {
        let text = text.clone();
        async { Response::new(Full::new(text)) }
    })
}

/// What a service answers: its status and its text.
async fn says(program: &Program, uri: &str) -> (u16, String) {
    let response = program.call_whole(get(uri), 1 << 20).await.expect(uri);
    (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programs_calls_take_turns_over_the_instances_of_a_service() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 2).await;
    let program = join(&mesh).await;
    for _ in 0..20 {
        assert_eq!(says(&program, "http://hello/").await.0, 200);
    }
    assert_eq!(hello.requests(), [10, 10]);
    let seen = says(&program, "http://hello/echo").await.1;
    assert!(seen.contains("spiffe://cluster.local/ns/default/sa/default"), "mutual TLS: {seen}");
    assert_eq!(program.id(), "spiffe://cluster.local/ns/default/sa/default");
}

/// Fields: VirtualService spec.http[].retries.attempts, spec.http[].retries.retryOn,
/// spec.http[].directResponse.status
#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_for_a_programs_calls_as_for_a_sidecars() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 2).await;
    mesh.apply(
        r"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hello }
spec:
  hosts: [hello]
  http:
  - match: [{ uri: { prefix: /here } }]
    directResponse: { status: 418 }
  - retries: { attempts: 1, retryOn: 5xx }
    route: [{ destination: { host: hello } }]
",
    )
    .await;
    let program = join(&mesh).await;
    meltemi_tests::eventually("the rule is in effect", async || {
        match says(&program, "http://hello/here").await.0 {
            418 => Ok(()),
            other => Err(format!("status {other}")),
        }
    })
    .await;
    let before: u64 = hello.requests().iter().sum();
    assert_eq!(says(&program, "http://hello/status/503").await.0, 503);
    assert_eq!(hello.requests().iter().sum::<u64>(), before + 2, "it was tried again");
    hello.app(0).set_status(503);
    for _ in 0..4 {
        assert_eq!(says(&program, "http://hello/set").await.0, 200, "the other one answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_starts_a_control_plane_of_its_own_and_ten_services_call_each_other() {
    let program = Program::embedded().await.expect("an embedded control plane");
    let mut services = Vec::new();
    for at in 0..10 {
        let name = format!("service-{at}");
        let service = saying(&name, 9000 + at, &name);
        services.push(service.register(&program, [127, 0, 0, 1].into()).await.expect("registered"));
    }
    for caller in &services {
        for called in services.iter().filter(|it| it.name() != caller.name()) {
            let uri = format!("http://{}:{}/", called.service(), called.port());
            let response = caller.call_whole(get(&uri), 1024).await.expect("an answer");
            assert_eq!(response.body(), called.service());
        }
    }
    assert_eq!(services[3].id(), "spiffe://cluster.local/ns/default/sa/service-3");
}
