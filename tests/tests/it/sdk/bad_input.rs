//! What a program is told that asks for what cannot be: one error of its own kind each, and nothing hangs.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use meltemi_sdk::{Control, Error, Mesh as Program, Service, Token};
use meltemi_tests::{Mesh, free_port, within};

use super::{get, join, saying};

/// Two seconds are promised; five times as much is allowed to a busy machine.
const SOON: Duration = Duration::from_secs(10);

async fn token(mesh: &Mesh, account: &str) -> (String, String) {
    let roots = mesh.directory().join("roots.pem");
    let path = roots.to_str().expect("a path of text");
    let arguments = ["token", "create", "--service-account", account, "--trust-bundle-out", path];
    let outcome = mesh.command(&arguments, "").await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    (outcome.stdout.trim().to_owned(), std::fs::read_to_string(roots).expect("the roots"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_elsewhere_joins_by_address_roots_and_token() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let (another, _) = token(&mesh, "other").await;
    let (token, roots) = token(&mesh, "web").await;
    let address = format!("https://{}", mesh.addresses().secure_xds);
    let control = Control::at(&address, &roots).expect("a control plane");
    let home = mesh.directory().join("elsewhere");
    let builder = Program::builder(control.clone()).token(token.clone()).state_dir(&home);
    let program = builder.connect().await.expect("joined");
    assert_eq!(program.id(), "spiffe://cluster.local/ns/default/sa/web");
    let response = program.call_whole(get("http://hello/"), 1024).await.expect("an answer");
    assert_eq!((response.status().as_u16(), hello.requests()), (200, vec![1]));
    // The token is for one service account, which is that of a service that names none.
    let service = saying("web", 8001, "").register(&program, [127, 0, 0, 1].into()).await;
    assert_eq!(service.expect("registered").id(), program.id());
    let other = saying("other", 8002, "").service_account("other");
    let refused = other.register(&program, [127, 0, 0, 1].into()).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    // A service that brings a token of its own is whom that one is for.
    let other = saying("other", 8002, "").token(another);
    let other = other.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    assert_eq!(other.id(), "spiffe://cluster.local/ns/default/sa/other");

    let forged = Program::builder(control).token(format!("{token}x")).state_dir(home);
    let refused = forged.connect().await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_control_plane_there_is_one_clear_error_soon() {
    let mesh = Mesh::start().await;
    let (token, roots) = token(&mesh, "web").await;
    let began = Instant::now();
    let nobody = format!("https://127.0.0.1:{}", free_port());
    let control = Control::at(&nobody, &roots).expect("a control plane");
    let builder = Program::builder(control).token(token).state_dir(mesh.directory());
    let error = builder.connect().await.expect_err("nobody is there");
    assert!(matches!(error, Error::ControlPlane(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("refused") && text.contains("meltemi control"), "{text}");
    let none = Program::connect(Control::local(mesh.directory().join("none")), Token::Own).await;
    let error = none.expect_err("no control plane has run there");
    assert!(matches!(error, Error::ControlPlane(_)), "{error:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_by_kind() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    for uri in ["http://nobody/", "http://nobody.default.svc.cluster.local/", "http://localhost/"] {
        let error = program.call(get(uri)).await.map(drop).expect_err(uri);
        assert!(matches!(error, Error::UnknownService(_)), "{uri}: {error:?}");
    }
    let greeter = saying("greeter", 8001, "hello").register(&program, [127, 0, 0, 1].into());
    let greeter = greeter.await.expect("registered");
    let error = program.call(get("http://greeter:8009/")).await.map(drop);
    assert!(matches!(error, Err(Error::UnknownService(_))), "{error:?}");
    for uri in ["https://greeter:8001/", "ftp://greeter/", "/only/a/path"] {
        let error = program.call(get(uri)).await.map(drop).expect_err(uri);
        assert!(matches!(error, Error::Request(_)), "{uri}: {error:?}");
    }
    let large = program.call_whole(get("http://greeter:8001/"), 4).await;
    assert!(matches!(large, Err(Error::TooLarge(4))), "{large:?}");
    mesh.apply(
        r"
apiVersion: v1
kind: Service
metadata: { name: empty }
spec: { selector: { app: nobody }, ports: [{ name: http, port: 80 }] }
",
    )
    .await;
    let error = meltemi_tests::eventually("the service is known", async || {
        match program.call(get("http://empty/")).await {
            Err(Error::UnknownService(text)) => Err(text),
            other => Ok(other.map(drop)),
        }
    })
    .await;
    assert!(matches!(error, Err(Error::NoInstance(_))), "{error:?}");
    drop(greeter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_or_panics_is_an_answer_and_the_next_call_works() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    let moody = Service::new("moody", 8001).handler_fn(|request| async move {
        assert!(request.uri().path() != "/panic", "as it was asked to");
        http::Response::new(Full::new(bytes::Bytes::from("well")))
    });
    let _moody = moody.register(&program, [127, 0, 0, 1].into()).await.expect("registered");
    for _ in 0..3 {
        let post = Request::post("http://moody:8001/panic");
        let post = post.body(Full::new(bytes::Bytes::new())).expect("a request");
        let failed = within("an answer", program.call_whole(post, 1024)).await.expect("an answer");
        assert_eq!(failed.status(), 503);
        let well = program.call_whole(get("http://moody:8001/"), 1024).await.expect("an answer");
        assert_eq!(well.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_none_are_refused_before_anything_is_done() {
    let mesh = Mesh::start().await;
    let program = join(&mesh).await;
    for service in [Service::new("Not a name", 80), Service::new("zero", 0)] {
        let refused = service.register(&program, [127, 0, 0, 1].into()).await;
        assert!(matches!(refused, Err(Error::Settings(_))), "{refused:?}");
    }
    assert!(matches!(Service::new("a", 1).protocol("htpp"), Err(Error::Settings(_))));
    assert!(matches!(Control::at("mesh:1", "x"), Err(Error::Settings(_))));
    assert!(matches!(program.channel("hello world"), Err(Error::Settings(_))));
}
