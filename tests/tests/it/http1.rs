//! HTTP/1.1 through two sidecars, seen and steered byte by byte.

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, eventually, free_port, within};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

/// One instance, and a client with a local address for it; the requests there are in origin form.
async fn pair(mesh: &Mesh) -> (HttpApp, [Sidecar; 2], Http1) {
    let app = HttpApp::start("hello").await;
    let sidecar = mesh.workload("hello").port(app.port(), "http").proxy().await;
    let listen = free_port();
    let upstream = format!("hello:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let calls = Http1::connect(([127, 0, 0, 1], listen).into()).await;
    (app, [sidecar, client], calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_alive_on_all_three_legs() {
    let mesh = Mesh::start().await;
    let (app, [_server, client], mut calls) = pair(&mesh).await;
    for _ in 0..100 {
        assert_eq!(calls.get("/").await.status, 200);
    }
    assert!(app.connections() <= 2, "{} connections for 100 requests", app.connections());
    let mut calls = client.http().await;
    let response = calls.call("GET", "http://hello/", &[("connection", "close")], b"").await;
    assert_eq!(response.status, 200);
    assert!(calls.is_closed().await, "the caller asked for the end of the connection");
    let mut calls = client.http().await;
    calls.send("GET http://hello/ HTTP/1.0\r\nhost: hello\r\n\r\n").await;
    assert_eq!(calls.response().await.status, 200);
    assert!(calls.is_closed().await, "HTTP/1.0 does not keep connections alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let lengths = [0, 70_000, 3, 1, 20_000, 5];
    let request = |length| format!("GET /bytes/{length} HTTP/1.1\r\nhost: hello\r\n\r\n");
    calls.send(lengths.map(request).concat()).await;
    for length in lengths {
        assert_eq!(calls.response().await.body.len(), length);
    }
    let post = "POST /echo HTTP/1.1\r\nhost: hello\r\ncontent-length: 5\r\n\r\nhello";
    calls.send(format!("{post}{}{post}", request(7))).await;
    assert_eq!(calls.response().await.json()["body"], 5);
    assert_eq!(calls.response().await.body.len(), 7);
    assert_eq!(calls.response().await.json()["body"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_bodies_pass_whatever_their_boundaries() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let request = "POST /echo HTTP/1.1\r\nhost: hello\r\ntransfer-encoding: chunked\r\n\r\n\
                   5;name=value\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nx-trailer: yes\r\n\r\n";
    for length in [1, 2, 3, 7, 64, request.len()] {
        calls.send_in_pieces(request.as_bytes(), length).await;
        let response = calls.response().await;
        assert_eq!((response.status, response.json()["body"].as_u64()), (200, Some(16)));
    }
    let response = calls.get("/stream/100000").await;
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert_eq!(response.body, vec![b'y'; 100_000]);
    let response = calls.call("GET", "/trailers", &[("te", "trailers")], b"").await;
    assert_eq!((response.status, response.trailer("x-checked")), (200, Some("yes")));
    let response = calls.get("/stream/0").await;
    assert_eq!((response.status, response.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_without_a_body_leave_the_connection_in_step() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    for path in ["/bytes/50", "/stream/50", "/echo"] {
        let response = calls.call("HEAD", path, &[], b"").await;
        assert_eq!((response.status, response.body.len()), (200, 0), "HEAD {path}");
    }
    for status in [204, 304, 200, 404, 503] {
        let response = calls.get(&format!("/status/{status}")).await;
        assert_eq!((response.status, response.body.len()), (status, 0));
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let response = calls.call(method, "/echo?a=b%20c", &[], b"").await.json();
        assert_eq!(response["method"], method);
        assert_eq!(response["target"], "/echo?a=b%20c");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_only_after_100_continue() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: hello\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        )
    };
    calls.send(head("/echo")).await;
    let mut interim = [0; 25];
    calls.stream().read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    calls.send("hello").await;
    assert_eq!(calls.response().await.json()["body"], 5);
    // A final answer instead of the interim one: the body is never asked for.
    calls.send(head("/refuse")).await;
    let response = calls.response().await;
    assert_eq!((response.status, response.interim.as_slice()), (417, &[][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_in_both_directions_until_one_side_ends() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let headers = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let response = calls.call("GET", "/upgrade", &headers, b"").await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let mut stream = calls.into_stream();
    for message in ["\u{1}frame", "GET / HTTP/1.1\r\n\r\n", "x"] {
        stream.get_mut().write_all(message.as_bytes()).await.unwrap();
        let mut back = vec![0; message.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, message.as_bytes());
    }
    stream.get_mut().shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the other side ends too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_an_upgrade_that_is_refused_stays_http() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    let response = calls.call("GET", "/status/403", &headers, b"").await;
    assert_eq!(response.status, 403);
    assert_eq!(calls.get("/bytes/3").await.body.len(), 3);
}

/// Behind an upgrade to HTTP/2 requests would pass that no policy has seen.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_protocol_than_websocket_is_offered_to_the_application() {
    let mesh = Mesh::start().await;
    let (_app, _sidecars, mut calls) = pair(&mesh).await;
    for (connection, upgrade) in [
        ("upgrade, http2-settings", "h2c"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket, h2c"),
        ("upgrade", "own/1"),
    ] {
        let headers = [
            ("connection", connection),
            ("upgrade", upgrade),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
        ];
        let seen = calls.call("GET", "/echo", &headers, b"").await.json();
        let headers = seen["headers"].as_array().unwrap();
        let told = headers.iter().find(|it| it[0] == "upgrade" || it[0] == "http2-settings");
        assert_eq!(told, None, "{upgrade}");
        assert_eq!(
            calls
                .call("GET", "/upgrade", &[("connection", connection), ("upgrade", upgrade)], b"")
                .await
                .status,
            426
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_come_before_the_request_is_over() {
    let mesh = Mesh::start().await;
    let (_app, [_server, client], mut calls) = pair(&mesh).await;
    let head = "POST /refuse HTTP/1.1\r\nhost: hello\r\ncontent-length: 50000000\r\n\r\n";
    calls.send(head).await;
    calls.send(vec![b'x'; 100_000]).await;
    assert_eq!(calls.response().await.status, 417);
    // Whether this connection goes on or not, the next one does.
    let mut calls = client.http().await;
    assert_eq!(calls.get("http://hello/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_body_arrives_before_the_rest_is_there() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, mut calls) = pair(&mesh).await;
    calls.send("GET /drip HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n").await;
    let mut line = String::new();
    while line != "first\r\n" && line != "first\n" {
        line.clear();
        within("the first part", calls.stream().read_line(&mut line)).await.unwrap();
    }
    app.release();
    let mut rest = String::new();
    within("the rest", calls.stream().read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("last\n") && rest.ends_with("0\r\n\r\n"), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_told_that_its_caller_has_gone() {
    let mesh = Mesh::start().await;
    let (app, _sidecars, mut calls) = pair(&mesh).await;
    calls.send("GET /hold HTTP/1.1\r\nhost: hello\r\n\r\n").await;
    in_flight(&app, 1).await;
    drop(calls);
    in_flight(&app, 0).await;
}

async fn in_flight(app: &HttpApp, expected: u64) {
    eventually(&format!("{expected} requests in flight"), async || match app.in_flight() {
        count if count == expected => Ok(()),
        count => Err(count.to_string()),
    })
    .await;
}
