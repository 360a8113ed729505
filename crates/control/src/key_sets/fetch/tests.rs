use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

pub(in crate::key_sets) const KEYS: &str =
    r#"{"keys":[{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A server that answers each path with bytes of the test's own, and counts.
pub(in crate::key_sets) struct Server {
    pub(in crate::key_sets) port: u16,
    answers: Arc<parking_lot::Mutex<HashMap<String, Vec<u8>>>>,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(in crate::key_sets) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Server {
    pub(in crate::key_sets) async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<parking_lot::Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
        let requests: Arc<AtomicUsize> = Arc::default();
        let (of_answers, of_requests) = (answers.clone(), requests.clone());
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                of_requests.fetch_add(1, Ordering::SeqCst);
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = of_answers.lock().get(&path).cloned();
                match answer {
                    Some(bytes) => drop(stream.write_all(&bytes).await),
                    // Held open without a word, until the server goes.
                    None => drop(tokio::spawn(async move { stream.read(&mut [0]).await })),
                }
            }
        });
        Server { port, answers, requests, task }
    }

    pub(in crate::key_sets) fn answer(&self, path: &str, answer: Vec<u8>) {
        self.answers.lock().insert(path.to_owned(), answer);
    }

    pub(in crate::key_sets) fn uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// How many connections came.
    pub(in crate::key_sets) fn seen(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn fetcher(allowed: &[&str]) -> Fetcher {
    let allowed: Vec<JwksAllow> = allowed.iter().map(|it| it.parse().unwrap()).collect();
    Fetcher::new(&allowed)
}

async fn fetch(fetcher: &Fetcher, uri: &str) -> Result<String, String> {
    let source = KeySource::Uri(uri.into());
    fetcher.fetch(&source, Duration::from_secs(20)).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn keys_are_fetched_without_what_is_not_needed() {
    let server = Server::start().await;
    server.answer("/keys?a=b", ok(&KEYS.replace("\"kty\"", "\"d\":\"secret\",\"kty\"")));
    let fetched = fetch(&fetcher(&["127.0.0.0/8"]), &server.uri("/keys?a=b")).await;
    assert_eq!(fetched.as_deref(), Ok(KEYS));
    let by_name = format!("http://localhost:{}/keys?a=b", server.port);
    assert_eq!(fetch(&fetcher(&["localhost"]), &by_name).await.as_deref(), Ok(KEYS));
}

#[tokio::test]
async fn what_is_not_public_is_not_even_connected() {
    let server = Server::start().await;
    server.answer("/", ok(KEYS));
    for (allowed, uri) in [
        (&[][..], server.uri("/")),
        (&["10.0.0.0/8", "other"], server.uri("/")),
        (&[], format!("http://localhost:{}/", server.port)),
        (&[], format!("http://[::ffff:127.0.0.1]:{}/", server.port)),
        (&[], format!("http://0.0.0.0:{}/", server.port)),
        // As some resolvers take a number for an address.
        (&[], format!("http://2130706433:{}/", server.port)),
        (&[], format!("http://127.1:{}/", server.port)),
        (&[], "http://169.254.169.254/latest/meta-data".into()),
    ] {
        let error = fetch(&fetcher(allowed), &uri).await.unwrap_err();
        let is_told =
            error.contains("not a public address") || error.contains("cannot be resolved");
        assert!(is_told, "{uri}: {error}");
    }
    assert_eq!(server.seen(), 0);
    let named = format!("http://localhost:{}/", server.port);
    let error = fetch(&fetcher(&[]), &named).await.unwrap_err();
    assert!(error.contains("--jwks-allow localhost"), "{error}");
}

#[tokio::test]
async fn answers_that_are_no_key_set_are_refused() {
    let server = Server::start().await;
    let long = format!("{{\"keys\":[],\"pad\":\"{}\"}}", "x".repeat(MAX_BODY));
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        server.uri("/good")
    );
    server.answer("/good", ok(KEYS));
    for (answer, part) in [
        (redirect.into_bytes(), "answered 302 Found, not 200; redirects are not followed"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec(), "answered 500"),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), "answered 204"),
        (ok(&long), "longer than 256 KiB"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(), "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff".to_vec(), "no text"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "the exchange with 127.0.0.1 failed"),
        (Vec::new(), "the exchange with 127.0.0.1 failed"),
        (ok("<html>"), "not a JSON Web Key Set"),
    ] {
        server.answer("/bad", answer);
        let error = fetch(&fetcher(&["127.0.0.1"]), &server.uri("/bad")).await.unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
    }
    // One request each: the redirect was not followed.
    assert_eq!(server.seen(), 9);
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let server = Server::start().await;
    let source = KeySource::Uri(server.uri("/silent").as_str().into());
    let fetched = fetcher(&["127.0.0.1"]).fetch(&source, Duration::from_millis(50)).await;
    assert_eq!(fetched.unwrap_err().to_string(), "there was no answer within 50ms");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = fetch(&fetcher(&["127.0.0.1"]), &format!("http://{closed}/")).await.unwrap_err();
    assert!(error.contains("127.0.0.1 cannot be connected"), "{error}");
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are() {
    let server = Server::start().await;
    server.answer("/keys", ok(KEYS));
    let fetcher = fetcher(&["127.0.0.1"]);
    let issuer = server.uri("/tenant/");
    let configuration = |issuer: &str, keys: &str| {
        ok(&serde_json::json!({"issuer": issuer, "jwks_uri": keys}).to_string())
    };
    let path = "/tenant/.well-known/openid-configuration";
    for (answer, expected) in [
        (configuration(&issuer, &server.uri("/keys")), Ok(KEYS)),
        (
            configuration("https://other", &server.uri("/keys")),
            Err("is of the issuer `https://other`"),
        ),
        (configuration(&issuer, "file:///etc/passwd"), Err("is not an address that can be asked")),
        (configuration(&issuer, "http://10.0.0.1/"), Err("not a public address")),
        (ok("{}"), Err("no JSON with `issuer` and `jwks_uri`")),
        (ok("<html>"), Err("no JSON with `issuer` and `jwks_uri`")),
    ] {
        server.answer(path, answer);
        let source = KeySource::Issuer(issuer.as_str().into());
        let fetched = fetcher.fetch(&source, Duration::from_secs(20)).await;
        match (fetched.map_err(|error| error.to_string()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(part)) => assert!(found.contains(part), "{part}: {found}"),
            (found, expected) => panic!("{expected:?}: {found:?}"),
        }
    }
}

#[test]
fn addresses_are_taken_apart() {
    let parsed = |text: &str| {
        let target = Target::parse(text).ok()?;
        Some((target.is_tls, target.host, target.port, target.path))
    };
    let of = |is_tls, host: &str, port, path: &str| {
        Some((is_tls, host.to_owned(), port, path.to_owned()))
    };
    for (text, expected) in [
        ("https://keys.example", of(true, "keys.example", 443, "/")),
        ("http://keys.example:8080/a?b=c", of(false, "keys.example", 8080, "/a?b=c")),
        ("http://[::1]:8/", of(false, "::1", 8, "/")),
        ("https://keys.example/a#b", of(true, "keys.example", 443, "/a")),
        ("ftp://keys.example/", None),
        ("file:///etc/passwd", None),
        ("keys.example/a", None),
        ("/a", None),
        ("https://me:secret@keys.example/", None),
        ("https:///a", None),
        ("", None),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
}
