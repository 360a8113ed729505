//! gRPC: all four kinds of calls, status and trailers, deadlines and cancellation.

use std::time::Duration;

use meltemi_tests::calls::Ask;
use meltemi_tests::calls::calls_client::CallsClient;
use meltemi_tests::{GrpcApp, Mesh, Sidecar, client, free_port, within};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Request};

async fn pair(mesh: &Mesh) -> (GrpcApp, [Sidecar; 2], CallsClient<Channel>) {
    let app = GrpcApp::start("calls-1").await;
    let sidecar = mesh.workload("calls").port(app.port(), "grpc").proxy().await;
    let listen = free_port();
    let upstream = format!("calls:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
    (app, [sidecar, client], calls)
}

fn ask(text: &str) -> Ask {
    Ask { text: text.to_owned(), ..Ask::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_kinds_of_calls_pass() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let answer = calls.unary(ask("one")).await.unwrap().into_inner();
    assert_eq!((answer.text.as_str(), answer.served_by.as_str()), ("one", "calls-1"));

    let many = Ask { answers: 100, ..ask("many") };
    let answers = calls.server_stream(many).await.unwrap().into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 100);

    let asks = tokio_stream::iter((0..50).map(|at| ask(&format!("{at},"))));
    let answer = calls.client_stream(asks).await.unwrap().into_inner();
    assert_eq!(answer.asked, 50);
    assert!(answer.text.starts_with("0,1,2,") && answer.text.ends_with("49,"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bidirectional_stream_answers_before_it_ends() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let (sender, asks) = tokio::sync::mpsc::channel(1);
    let asks = tokio_stream::wrappers::ReceiverStream::new(asks);
    let mut answers = calls.bidi(asks).await.unwrap().into_inner();
    for at in 1..=20 {
        sender.send(ask(&at.to_string())).await.unwrap();
        let answer = within("an answer", answers.message()).await.unwrap().unwrap();
        assert_eq!((answer.text, answer.asked), (at.to_string(), at));
    }
    drop(sender);
    assert_eq!(within("the end", answers.message()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_trailers_arrive_intact() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    for code in [Code::NotFound, Code::ResourceExhausted, Code::Unauthenticated] {
        let failing = Ask { fail_code: code as u32, ..ask("why: größer than 100 %") };
        let status = calls.unary(failing.clone()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "why: größer than 100 %"));
        assert_eq!(status.metadata().get("x-detail").unwrap(), "from the application");
        // After answers, so in trailers and not in a head alone.
        let late = Ask { answers: 3, ..failing };
        let mut answers = calls.server_stream(late).await.unwrap().into_inner();
        for _ in 0..3 {
            answers.message().await.unwrap().unwrap();
        }
        let status = answers.message().await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "why: größer than 100 %"));
        assert_eq!(status.metadata().get("x-detail").unwrap(), "from the application");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_carried_to_the_application_and_kept() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, mut calls) = pair(&mesh).await;
    let mut request = Request::new(ask("soon"));
    request.set_timeout(Duration::from_secs(30));
    let timeout = calls.unary(request).await.unwrap().into_inner().timeout;
    let (digits, unit) = timeout.split_at(timeout.len().saturating_sub(1));
    let left: u64 = digits.parse().unwrap_or_else(|_| panic!("grpc-timeout was {timeout:?}"));
    let seconds = match unit {
        "S" => left,
        "m" => left / 1_000,
        "u" => left / 1_000_000,
        "n" => left / 1_000_000_000,
        _ => panic!("grpc-timeout was {timeout:?}"),
    };
    assert!((1..=30).contains(&seconds), "grpc-timeout was {timeout:?}");

    let mut hanging = Request::new(Ask { hang: true, ..Ask::default() });
    hanging.set_timeout(Duration::from_millis(300));
    let status = within("the deadline", calls.unary(hanging)).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    let mut given_up = app.given_up();
    within("the application's end", given_up.wait_for(|count| *count == 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_is_cancelled_at_the_application() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, mut calls) = pair(&mesh).await;
    let call = tokio::spawn(async move {
        drop(calls.unary(Ask { hang: true, ..Ask::default() }).await);
        calls
    });
    let mut hanging = app.hanging();
    within("the call's arrival", hanging.wait_for(|count| *count == 1)).await.unwrap();
    assert_eq!(*app.given_up().borrow(), 0);
    call.abort();
    let mut given_up = app.given_up();
    within("the cancellation", given_up.wait_for(|count| *count == 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_channel_are_spread_over_instances() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client], mut calls) = pair(&mesh).await;
    let second = GrpcApp::start("calls-2").await;
    let _sidecar = mesh.workload("calls").port(second.port(), "grpc").proxy().await;
    meltemi_tests::eventually("a call reaches the second instance", async || {
        let answer = calls.unary(ask("")).await.map_err(|status| status.to_string())?;
        match answer.into_inner().served_by.as_str() {
            "calls-2" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let mut seen = [0, 0];
    for _ in 0..20 {
        let answer = calls.unary(ask("")).await.unwrap().into_inner();
        seen[usize::from(answer.served_by == "calls-2")] += 1;
    }
    assert_eq!(seen, [10, 10], "over {}", client.workload);
}
