//! An HTTP application, HTTP/1.1 and HTTP/2 with prior knowledge, whose answers are chosen by the path.
//!
//! | path | answer |
//! | --- | --- |
//! | `/echo` | JSON of what came: method, target, version, headers, length of the body |
//! | `/status/N` | status N |
//! | `/bytes/N`, `/stream/N` | N bytes, with a length or in chunks |
//! | `/trailers` | a chunked body with the trailer `x-checked: yes` |
//! | `/drip` | a first chunk at once, a last one after the release |
//! | `/hold` | nothing until [`HttpApp::release`], [`HttpApp::release_held`] or `/release` |
//! | `/refuse` | 417, without the body having been read |
//! | `/upgrade` | 101 to a WebSocket that sends back what comes |
//! | `/set` | the status that [`HttpApp::set_status`] has set, else 200 |
//! | `/record/N` | status N; what came is kept for [`HttpApp::recorded`] |
//! | `/record/hold` | the same, and nothing until the release |
//! | `/stats` | JSON of the counts; not counted itself |
//! | anything else | 200 and the instance's name |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Recorded, Server, accept_all};

/// RFC 6455's own example: the answer to the key `dGhlIHNhbXBsZSBub25jZQ==`.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The length of a chunk of `/stream/N`.
const CHUNK: usize = 16 * 1024;

/// What tests ask for until rules that they have made answer it in the application's stead: the application answers 404, and
/// does not count it.
const CONFIGURATION: &str = "/which-configuration";

type Body = BoxBody<Bytes, Infallible>;

/// The application in the test's process.
#[derive(Debug)]
pub struct HttpApp {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    requests: AtomicU64,
    in_flight: AtomicU64,
    connections: AtomicU64,
    sent: AtomicU64,
    status: AtomicU16,
    recorded: Mutex<Vec<Recorded>>,
    /// What it says of its load in a field of each answer, and behind the body of `/trailers`.
    load: Mutex<[Option<HeaderValue>; 2]>,
    /// The requests that came before this one are not held.
    released: watch::Sender<u64>,
}

impl State {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(State {
            name: name.to_owned(),
            requests: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            status: AtomicU16::new(200),
            recorded: Mutex::default(),
            load: Mutex::default(),
            released: watch::Sender::new(0),
        })
    }

    /// Waits until the request with this number may be answered.
    async fn release(&self, number: u64) {
        // The sender lives as long as the state.
        drop(self.released.subscribe().wait_for(|released| number < *released).await);
    }

    fn release_all(&self) {
        self.released.send_replace(u64::MAX);
    }
}

impl HttpApp {
    /// Starts an instance.
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, 0).await
    }

    /// Starts an instance on the port of one that is gone.
    pub async fn start_at(name: &str, port: u16) -> Self {
        let state = State::new(name);
        let of_connections = state.clone();
        let serve = move |stream| connection(of_connections.clone(), stream);
        let server = Server::start_at(port, serve).await;
        HttpApp { server, state }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// How many requests it saw, those for [`CONFIGURATION`] apart.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// How many of them it has not answered yet.
    pub fn in_flight(&self) -> u64 {
        self.state.in_flight.load(Ordering::SeqCst)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of `/stream/N` it has given to its connections.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// What came to `/record` since this was last asked, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.state.recorded.lock())
    }

    /// Answers `/set` with this status from now on.
    pub fn set_status(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// Says this of its load from now on: `endpoint-load-metrics` with each answer, `endpoint-load-metrics-bin` behind that of
    /// `/trailers`.
    ///
    /// # Panics
    /// If one is no value of a field.
    pub fn set_load(&self, field: Option<&str>, trailer: Option<&str>) {
        let value = |text: &str| HeaderValue::from_str(text).expect("a value of a field");
        *self.state.load.lock() = [field.map(value), trailer.map(value)];
    }

    /// Answers what is held, and whatever asks to be held from now on.
    pub fn release(&self) {
        self.state.release_all();
    }

    /// Answers what is held and [`HttpApp::in_flight`] counts; what asks to be held later is held.
    pub fn release_held(&self) {
        let came = self.requests();
        self.state.released.send_modify(|released| *released = came.max(*released));
    }
}

/// The same application at a Unix socket, for as long as this lives.
#[derive(Debug)]
pub struct UnixApp {
    _tasks: JoinSet<()>,
}

impl UnixApp {
    /// Starts an instance.
    ///
    /// # Panics
    /// If there is something at the path.
    pub fn start(name: &str, path: &Path) -> Self {
        let listener =
            UnixListener::bind(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (state, mut tasks) = (State::new(name), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(state.clone(), stream));
            }
        });
        UnixApp { _tasks: tasks }
    }
}

/// Serves a listener for as long as the process lives: the application as a program of its own.
pub async fn serve(listener: TcpListener, name: &str) {
    let state = State::new(name);
    accept_all(listener, move |stream| connection(state.clone(), stream)).await;
}

async fn connection(
    state: Arc<State>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    state.connections.fetch_add(1, Ordering::SeqCst);
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(state, request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Nothing of a stalled body is taken in advance, so that back-pressure can be seen.
    server.http1().max_buf_size(128 * 1024);
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    // A client that goes away is no fault of the application.
    drop(served);
}

/// Counts a request as in flight for as long as it lives.
struct InFlight(Arc<State>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path == "/stats" {
        return stats(&state);
    }
    if path == CONFIGURATION {
        let mut response = Response::new(Full::default().boxed());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    // Numbered before it is counted as in flight: whoever sees it there can release it.
    let number = state.requests.fetch_add(1, Ordering::SeqCst);
    state.in_flight.fetch_add(1, Ordering::SeqCst);
    let _in_flight = InFlight(state.clone());
    let mut response = route(&state, number, &path, request).await;
    let name = HeaderValue::from_str(&state.name).expect("a name fits a header");
    response.headers_mut().insert("x-served-by", name);
    if let [Some(load), _] = &*state.load.lock() {
        response.headers_mut().insert("endpoint-load-metrics", load.clone());
    }
    response
}

async fn route(
    state: &Arc<State>,
    number: u64,
    path: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut segments = path.trim_start_matches('/').split('/');
    let (word, argument) = (segments.next(), segments.next().and_then(|it| it.parse().ok()));
    match (word, argument) {
        (Some("echo"), _) => echo(&state.name, request).await,
        (Some("status"), Some(code)) => status(code as u16),
        (Some("bytes"), Some(length)) => full(vec![b'x'; length]),
        (Some("stream"), Some(length)) => chunked(state.clone(), length),
        (Some("set"), _) => status(state.status.load(Ordering::SeqCst)),
        (Some("record"), code) => record(state, number, code, request).await,
        (Some("trailers"), _) => with_trailers(state),
        (Some("refuse"), _) => status(417),
        (Some("upgrade"), _) => upgrade(request),
        (Some("release"), _) => {
            state.release_all();
            full("released\n")
        }
        (Some("drip"), _) => drip(state.clone(), number),
        (Some("hold"), _) => {
            state.release(number).await;
            full("held\n")
        }
        _ => {
            let read = count(request.into_body()).await;
            if read.is_none() { status(400) } else { full(format!("{}\n", state.name)) }
        }
    }
}

fn stats(state: &State) -> Response<Body> {
    let value = |count: &AtomicU64| count.load(Ordering::SeqCst);
    full(
        json!({
            "name": state.name,
            "requests": value(&state.requests),
            "in_flight": value(&state.in_flight),
            "connections": value(&state.connections),
        })
        .to_string(),
    )
}

async fn echo(name: &str, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let Some(length) = count(body).await else { return status(400) };
    let mut response = full(
        json!({
            "served_by": name,
            "method": head.method.as_str(),
            "target": head.uri.to_string(),
            "version": format!("{:?}", head.version),
            "headers": headers,
            "body": length,
        })
        .to_string(),
    );
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Keeps what came, then answers with a status; without one after the release.
async fn record(
    state: &Arc<State>,
    number: u64,
    code: Option<usize>,
    request: Request<Incoming>,
) -> Response<Body> {
    let Some(recorded) = Recorded::read(request).await else { return status(400) };
    state.recorded.lock().push(recorded);
    match code {
        Some(code) => status(code as u16),
        None => {
            state.release(number).await;
            full("held\n")
        }
    }
}

/// The length of a body; `None` if it breaks off.
async fn count(mut body: Incoming) -> Option<u64> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Some(length)
}

fn status(code: u16) -> Response<Body> {
    let mut response = full("");
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
    response
}

fn full(body: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(body.into()).boxed())
}

fn chunked(state: Arc<State>, length: usize) -> Response<Body> {
    static BLOCK: [u8; CHUNK] = [b'y'; CHUNK];
    let chunks = stream::unfold((state, length), |(state, left)| async move {
        let next = left.min(CHUNK);
        state.sent.fetch_add(next as u64, Ordering::SeqCst);
        let frame = Frame::data(Bytes::from_static(&BLOCK[..next]));
        (next > 0).then_some((Ok(frame), (state, left - next)))
    });
    Response::new(BodyExt::boxed(StreamBody::new(chunks)))
}

fn drip(state: Arc<State>, number: u64) -> Response<Body> {
    let data = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let first = stream::iter([data("first\n")]);
    let last = stream::once(async move {
        state.release(number).await;
        data("last\n")
    });
    Response::new(BodyExt::boxed(StreamBody::new(first.chain(last))))
}

fn with_trailers(state: &State) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checked", HeaderValue::from_static("yes"));
    let mut names = "x-checked";
    if let [_, Some(load)] = &*state.load.lock() {
        trailers.insert("endpoint-load-metrics-bin", load.clone());
        names = "x-checked, endpoint-load-metrics-bin";
    }
    let frames = [Frame::data(Bytes::from_static(b"checked\n")), Frame::trailers(trailers)].map(Ok);
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
    response.headers_mut().insert("trailer", HeaderValue::from_static(names));
    response
}

fn upgrade(mut request: Request<Incoming>) -> Response<Body> {
    if request.headers().get(UPGRADE).is_none() {
        return status(426);
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(stream));
        // The end of the client's side ends it.
        drop(tokio::io::copy(&mut reader, &mut writer).await);
        drop(tokio::io::AsyncWriteExt::shutdown(&mut writer).await);
    });
    let mut response = status(101);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", HeaderValue::from_static(ACCEPT));
    response
}
