//! Authorizers that do what a request's header `x-ask` says, and keep what they were asked: one by Envoy's gRPC service, as
//! Envoy's own messages have it, and one by HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption, QueryParameter};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Status};

/// An authorizer by gRPC.
#[derive(Debug)]
pub(super) struct GrpcAuthorizer {
    pub(super) port: u16,
    state: Arc<GrpcState>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct GrpcState {
    asked: Mutex<Vec<CheckRequest>>,
    /// Whether connections of bytes are let in.
    is_open: Mutex<bool>,
    hanging: watch::Sender<usize>,
}

impl GrpcAuthorizer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(GrpcState::default());
        let server = tonic::transport::Server::builder()
            .add_service(AuthorizationServer::from_arc(state.clone()));
        let running = server.serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { running.await.unwrap() });
        GrpcAuthorizer { port, state, task }
    }

    /// What it was asked since this was last called.
    pub(super) fn asked(&self) -> Vec<CheckRequest> {
        std::mem::take(&mut *self.state.asked.lock())
    }

    /// Has connections of bytes let in from now on, or not.
    pub(super) fn open(&self, is_open: bool) {
        *self.state.is_open.lock() = is_open;
    }
}

impl Drop for GrpcAuthorizer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl Authorization for GrpcState {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, Status> {
        let request = request.into_inner();
        self.asked.lock().push(request.clone());
        let http = request.attributes.and_then(|it| it.request).and_then(|it| it.http);
        let Some(http) = http else {
            let code = if *self.is_open.lock() { 0 } else { 7 };
            return Ok(tonic::Response::new(response(code, None)));
        };
        match http.headers.get("x-ask").map_or("", String::as_str) {
            "allow" => {
                Ok(tonic::Response::new(response(0, Some(HttpResponse::OkResponse(allowed())))))
            }
            "bare" => Ok(tonic::Response::new(response(0, None))),
            "deny" => {
                let denied = HttpResponse::DeniedResponse(denied());
                Ok(tonic::Response::new(response(7, Some(denied))))
            }
            "fail" => Err(Status::internal("out of order")),
            "hang" => {
                self.hanging.send_modify(|count| *count += 1);
                std::future::pending().await
            }
            _ => Ok(tonic::Response::new(response(7, None))),
        }
    }
}

fn response(code: i32, http_response: Option<HttpResponse>) -> CheckResponse {
    let status = Some(rpc::Status { code, ..rpc::Status::default() });
    CheckResponse { status, http_response, ..CheckResponse::default() }
}

fn header(name: &str, value: &str, append_action: i32) -> HeaderValueOption {
    let header = HeaderValue { key: name.into(), value: value.into(), ..HeaderValue::default() };
    HeaderValueOption { header: Some(header), append_action, ..HeaderValueOption::default() }
}

fn allowed() -> OkHttpResponse {
    OkHttpResponse {
        headers: vec![
            header("x-user", "ann", 2),
            header("x-if-absent", "authorizer", 1),
            header("x-if-present", "authorizer", 3),
        ],
        headers_to_remove: vec!["X-Secret".into(), ":path".into()],
        response_headers_to_add: vec![header("x-checked", "yes", 2)],
        query_parameters_to_set: vec![QueryParameter {
            key: "tenant".into(),
            value: "blue".into(),
        }],
        query_parameters_to_remove: vec!["token".into()],
        ..OkHttpResponse::default()
    }
}

fn denied() -> DeniedHttpResponse {
    DeniedHttpResponse {
        status: Some(HttpStatus { code: 401 }),
        headers: vec![header("www-authenticate", "Basic realm=\"mesh\"", 2)],
        body: "who are you?".into(),
    }
}

/// A request that came to an authorizer by HTTP.
#[derive(Debug, Clone)]
pub(super) struct AskedByHttp {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl AskedByHttp {
    /// The value of a field; empty if it did not come.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// An authorizer by HTTP.
#[derive(Debug)]
pub(super) struct HttpAuthorizer {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<AskedByHttp>>>,
    task: JoinHandle<()>,
}

impl HttpAuthorizer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, asked.clone()));
        HttpAuthorizer { port, asked, task }
    }

    /// What it was asked since this was last called.
    pub(super) fn asked(&self) -> Vec<AskedByHttp> {
        std::mem::take(&mut *self.asked.lock())
    }
}

impl Drop for HttpAuthorizer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, asked: Arc<Mutex<Vec<AskedByHttp>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let asked = asked.clone();
        let service = service_fn(move |request| {
            let asked = asked.clone();
            async move { Ok::<_, Infallible>(by_http(&asked, request).await) }
        });
        connections.spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // Who goes away is no fault of the authorizer.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn by_http(
    asked: &Mutex<Vec<AskedByHttp>>,
    request: http::Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let target = head.uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
    let ask = head.headers.get("x-ask").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let builder = Response::builder()
        .header("x-user", "ann")
        .header("x-why", "rules")
        .header("set-cookie", "seen=1")
        .header("set-cookie", "again=1");
    let response = match ask {
        "allow" => builder.status(200).header("x-envoy-auth-headers-to-remove", "x-secret, x-none"),
        "login" => builder.status(302).header("location", "https://login.example/"),
        "fail" => builder.status(500),
        _ => builder.status(403),
    };
    let text = if ask == "fail" { "out of order" } else { "by rules" };
    let response = response.body(Full::new(Bytes::from_static(text.as_bytes()))).unwrap();
    asked.lock().push(AskedByHttp {
        method: head.method,
        target,
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    response
}
