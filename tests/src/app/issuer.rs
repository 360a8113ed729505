//! An issuer of tokens: it signs them, and tells its keys over HTTP or HTTPS, as long as the test lets it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::Server;

/// The path of the keys.
const KEYS: &str = "/keys";

/// The issuer.
#[derive(Debug)]
pub struct Issuer {
    server: Server,
    state: Arc<State>,
    scheme: &'static str,
}

#[derive(Debug)]
struct State {
    key: Mutex<Key>,
    made: AtomicUsize,
    failing: AtomicBool,
    requests: AtomicUsize,
    url: Mutex<String>,
}

#[derive(Debug)]
struct Key {
    id: String,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(number: usize) -> Key {
        let pair = Ed25519KeyPair::generate().expect("a key");
        Key { id: format!("key-{number}"), pair }
    }

    fn set(&self) -> Value {
        let x = base64(self.pair.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x}]})
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    /// Starts one that tells its keys over HTTP.
    pub async fn start() -> Issuer {
        let state = State::new();
        let of_connections = state.clone();
        let serve = move |stream| serve(of_connections.clone(), stream);
        let server = Server::start(serve).await;
        Issuer::of(server, state, "http")
    }

    /// Starts one that tells them over HTTPS.
    pub async fn start_tls(tls: TlsAcceptor) -> Issuer {
        let state = State::new();
        let of_connections = state.clone();
        let server = Server::start(move |stream| {
            let (state, tls) = (of_connections.clone(), tls.clone());
            async move {
                // A client that does not trust us is what a test may want.
                if let Ok(stream) = tls.accept(stream).await {
                    serve(state, stream).await;
                }
            }
        })
        .await;
        Issuer::of(server, state, "https")
    }

    fn of(server: Server, state: Arc<State>, scheme: &'static str) -> Issuer {
        let issuer = Issuer { server, state, scheme };
        *issuer.state.url.lock() = issuer.url();
        issuer
    }

    /// Its address, which is its name in tokens.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.server.address.port())
    }

    /// The address of its keys.
    pub fn keys_url(&self) -> String {
        format!("{}{KEYS}", self.url())
    }

    /// Its keys of now, as text.
    pub fn key_set(&self) -> String {
        self.state.key.lock().set().to_string()
    }

    /// A token of these claims; `iss`, `sub` and an `exp` in ten minutes are added where they are missing.
    pub fn token(&self, claims: &Value) -> String {
        let mut all = json!({"iss": self.url(), "sub": "alice", "exp": now() + 600});
        if let (Value::Object(all), Value::Object(claims)) = (&mut all, claims) {
            all.extend(claims.clone());
        }
        let key = self.state.key.lock();
        let head = json!({"alg": "EdDSA", "kid": key.id, "typ": "JWT"});
        let signed = format!("{}.{}", base64(head.to_string()), base64(all.to_string()));
        let signature = key.pair.sign(signed.as_bytes());
        format!("{signed}.{}", base64(signature))
    }

    /// Takes another key in place of the one that it has.
    pub fn rotate(&self) {
        let number = self.state.made.fetch_add(1, Ordering::SeqCst) + 1;
        *self.state.key.lock() = Key::new(number);
    }

    /// Answers 503 from now on, or as it should again.
    pub fn fail(&self, is_failing: bool) {
        self.state.failing.store(is_failing, Ordering::SeqCst);
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl State {
    fn new() -> Arc<State> {
        Arc::new(State {
            key: Mutex::new(Key::new(0)),
            made: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            url: Mutex::default(),
        })
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let url = self.url.lock().clone();
        let body = match request.uri().path() {
            _ if self.failing.load(Ordering::SeqCst) => None,
            KEYS => Some(self.key.lock().set()),
            "/.well-known/openid-configuration" => {
                Some(json!({"issuer": url, "jwks_uri": format!("{url}{KEYS}")}))
            }
            _ => None,
        };
        let mut response = Response::new(body.as_ref().map(Value::to_string).unwrap_or_default());
        if body.is_none() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

async fn serve(state: Arc<State>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(move |request| {
        let response = state.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let server = hyper::server::conn::http1::Builder::new();
    // A client that goes away is no fault of ours.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}
