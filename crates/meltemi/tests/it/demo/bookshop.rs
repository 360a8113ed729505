//! The bookshop's programs against each other, without a mesh.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, ChildStdout};

use crate::mesh::{Run, bare, run};

/// A program of the bookshop; ends when dropped.
struct Program {
    address: String,
    child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// Starts a program on a free port and waits until it listens.
async fn start(line: &str) -> Program {
    let mut child = bare(&format!("bookshop {line} --port 0")).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = stdout.next_line().await.unwrap().unwrap();
    let address = line.rsplit(' ').next().unwrap().to_owned();
    Program { address, child, _stdout: stdout }
}

/// `GET`; gives status and body.
async fn get(address: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn page(storefront: &Program, path: &str) -> Value {
    let (status, body) = get(&storefront.address, path, "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_storefront_makes_its_pages_of_what_the_others_know() {
    let (ratings, catalog) = (start("ratings").await, start("catalog").await);
    for (version, colour, stars) in [
        ("v1", Value::Null, Value::Null),
        ("v2", json!("black"), json!(5)),
        ("v3", json!("red"), json!(5)),
    ] {
        let reviews = format!("reviews --version {version} --ratings http://{}", ratings.address);
        let reviews = start(&reviews).await;
        let storefront = start(&format!(
            "storefront --catalog http://{} --reviews http://{}",
            catalog.address, reviews.address
        ))
        .await;
        let list = page(&storefront, "/").await;
        assert_eq!(list.as_array().unwrap().len(), 6);
        assert_eq!(list[2]["title"], "The Tempest");
        let book = page(&storefront, "/books/3").await;
        assert_eq!(book["book"]["title"], "The Tempest");
        assert_eq!(book["reviews"]["version"], version);
        assert_eq!(book["reviews"]["colour"], colour);
        assert_eq!(book["reviews"]["reviews"][0]["reader"], "boatswain");
        assert_eq!(book["reviews"]["reviews"][0]["stars"], stars);
        let (status, html) = get(&storefront.address, "/books/3", "accept: text/html\r\n").await;
        assert_eq!((status, html.contains("<h1>The Tempest</h1>")), (200, true));
        assert_eq!(get(&storefront.address, "/books/99", "").await.0, 404);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_failure_that_names_it() {
    let catalog = start("catalog").await;
    // Bound, so that it is nobody else's, but not listening.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (there, gone) =
        (format!("http://{}", catalog.address), format!("http://{}", nobody.local_addr().unwrap()));
    let reviews = start(&format!("reviews --version v2 --ratings {gone}")).await;
    let (status, body) = get(&reviews.address, "/reviews/1", "").await;
    assert!(status == 502 && body.contains(&format!("{gone}/ratings/1")), "{status} {body}");
    let reviews = format!("http://{}", reviews.address);
    for (catalog, reviews, part) in [(&there, &reviews, "502"), (&gone, &reviews, "catalog")] {
        let storefront =
            start(&format!("storefront --catalog {catalog} --reviews {reviews}")).await;
        let (status, body) = get(&storefront.address, "/books/1", "").await;
        assert!(status == 502 && body.contains(part), "{status} {body}");
    }
}

#[tokio::test]
async fn the_headers_of_a_trace_are_passed_on_and_others_are_not() {
    let fake = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = fake.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = fake.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let body = r#"{"book":1,"stars":{"skipper":1}}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    let reviews = start(&format!("reviews --version v3 --ratings http://{address}")).await;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let headers = format!("{trace}x-request-id: 42\r\nauthorization: Bearer x\r\n");
    assert_eq!(get(&reviews.address, "/reviews/1", &headers).await.0, 200);
    let head = served.await.unwrap();
    assert!(head.contains(trace) && head.contains("x-request-id: 42\r\n"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn the_shopper_sends_as_many_requests_as_asked_for_and_counts_failures() {
    let (ratings, catalog) = (start("ratings").await, start("catalog").await);
    let reviews =
        start(&format!("reviews --version v2 --ratings http://{}", ratings.address)).await;
    let mut storefront = start(&format!(
        "storefront --catalog http://{} --reviews http://{}",
        catalog.address, reviews.address
    ))
    .await;
    let shop = format!(
        "bookshop shopper --rate 100 --duration 1s --storefront http://{}",
        storefront.address
    );
    let report: Value = serde_json::from_str(&run(bare(&shop), "").await.succeeds()).unwrap();
    assert_eq!((&report["requests"], &report["succeeded"]), (&json!(100), &json!(100)));
    let quantile = |name: &str| report["latency_ms"][name].as_f64().unwrap();
    assert!(quantile("p50") > 0.0 && quantile("p50") <= quantile("p99"), "{report}");
    assert!(report["duration_s"].as_f64().unwrap() >= 1.0, "{report}");

    storefront.child.start_kill().unwrap();
    storefront.child.wait().await.unwrap();
    let report: Value = serde_json::from_str(&run(bare(&shop), "").await.succeeds()).unwrap();
    assert_eq!((&report["requests"], &report["succeeded"]), (&json!(100), &json!(0)));
    let failures = report["failures"].as_object().unwrap();
    assert_eq!(failures.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 100);
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let line = format!("bookshop ratings --port {}", address.port());
    let told: Run = run(bare(&line), "").await;
    let told = told.fails(1);
    assert!(told.contains(&address.to_string()) && told.contains("--port"), "{told}");
}
