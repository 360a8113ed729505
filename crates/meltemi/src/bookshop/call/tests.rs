//! Calls against a server that notes what it was sent.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

/// Answers one request with `{}`; gives the address and, later, the request's head.
async fn answer_once() -> (Authority, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (address, served)
}

#[tokio::test]
async fn a_request_goes_to_the_proxy_in_absolute_form() {
    let (proxy, served) = answer_once().await;
    let url = Uri::from_static("http://reviews:9080/reviews/1");
    let body: serde_json::Value =
        Caller::through(Some(proxy)).fetch_json(&url, HeaderMap::new()).await.unwrap();
    assert_eq!(body, serde_json::json!({}));
    let head = served.await.unwrap();
    assert!(head.starts_with("GET http://reviews:9080/reviews/1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: reviews:9080\r\n"), "{head}");
}

#[tokio::test]
async fn without_a_proxy_it_goes_to_the_host_itself() {
    let (server, served) = answer_once().await;
    let url = format!("http://{server}/x").parse().unwrap();
    Caller::through(None).fetch(&url, HeaderMap::new()).await.unwrap();
    assert!(served.await.unwrap().starts_with("GET /x HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_failed_call_says_what_was_called_and_why() {
    // Bound, so that it is nobody else's, but not listening.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let url: Uri = format!("http://{}/x", nobody.local_addr().unwrap()).parse().unwrap();
    let error = Caller::through(None).fetch(&url, HeaderMap::new()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&url.to_string()) && text.contains("refused"), "{text}");
}

#[test]
fn the_proxys_address_is_read_or_refused() {
    for (text, expected) in [
        ("http://127.0.0.1:15001", Some("127.0.0.1:15001")),
        ("http://127.0.0.1:15001/", Some("127.0.0.1:15001")),
        ("127.0.0.1:15001", Some("127.0.0.1:15001")),
        ("https://127.0.0.1:15001", None),
        ("http://127.0.0.1", None),
        ("", None),
    ] {
        let read = proxy_address(text).ok();
        assert_eq!(read.as_ref().map(Authority::as_str), expected, "{text}");
    }
}
