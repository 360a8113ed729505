//! Applications that answer nonsense, too little, or nothing: callers are told so, in time and in HTTP.

use meltemi_tests::{HttpApp, Mesh, Response, Sidecar, TcpApp};

/// One mesh with a caller, and an application whose answers are good.
struct Callers {
    mesh: Mesh,
    client: Sidecar,
    _good: (HttpApp, Sidecar),
}

impl Callers {
    async fn start() -> Self {
        let mesh = Mesh::start().await;
        let app = HttpApp::start("good").await;
        let good = mesh.workload("good").port(app.port(), "http").proxy().await;
        let client = mesh.client().await;
        Callers { mesh, client, _good: (app, good) }
    }

    /// Calls an application that answers with a text.
    async fn answer(&self, text: &'static [u8]) -> std::io::Result<Response> {
        let app = TcpApp::answers(text).await;
        let name = format!("broken-{}", app.port());
        let _sidecar = self.mesh.workload(&name).port(app.port(), "http").proxy().await;
        let target = format!("http://{name}/");
        let response = self.client.http().await.try_call("GET", &target, &[], b"").await;
        // The proxies live on and serve others.
        assert_eq!(self.client.http().await.get("http://good/").await.served_by(), "good");
        response
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_answered_502_or_503() {
    let callers = Callers::start().await;
    for text in [
        &b"220 mail server ready\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\nx\0y: z\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ] {
        let response = callers.answer(text).await.expect("an answer in HTTP");
        let what = String::from_utf8_lossy(text);
        assert!(matches!(response.status, 502 | 503), "{what:?}: {}", response.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_head_of_an_answer_is_refused() {
    let head = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "v".repeat(300_000));
    let response =
        Callers::start().await.answer(head.into_bytes().leak()).await.expect("an answer in HTTP");
    assert!(matches!(response.status, 502 | 503), "{}", response.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    let callers = Callers::start().await;
    for text in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
    ] {
        let what = String::from_utf8_lossy(text);
        match callers.answer(text).await {
            Ok(response) => assert!(response.status >= 500, "{what:?}: {response:?}"),
            Err(error) => eprintln!("{what:?}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_with_the_connection_is_whole() {
    let response = Callers::start()
        .await
        .answer(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        .await
        .expect("an answer");
    assert_eq!((response.status, response.text().as_str()), (200, "all of it"));
}
