//! A server on a free port and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meltemi_apiserver::{ApiState, ensure_namespaces, router};
use meltemi_store::{MemoryStore, Store};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// How long an event may take before a test counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const ROUTES: &str = "/apis/networking.istio.io/v1/namespaces/default/virtualservices";

/// A running API.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|state| state).await
    }

    pub(crate) async fn start_with(adapt: impl FnOnce(ApiState) -> ApiState) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        ensure_namespaces(&*store).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = router(adapt(ApiState::new(store)));
        let task = tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
                .await
                .unwrap()
        });
        Self { address, task }
    }

    /// Sends a request of any form.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header("host", self.address.to_string())
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl ToString,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path).header("content-type", kind);
        read(self.send(request.body(Full::from(body.to_string())).unwrap()).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, "", "").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> (StatusCode, Value) {
        let request = self.request(Method::GET, path).header("accept", accept);
        read(self.send(request.body(Full::default()).unwrap()).await).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, "application/json", body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::PUT, path, "application/json", body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::DELETE, path, "", "").await
    }

    /// Posts, and expects it to be taken.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Value {
        let (status, value) = self.post(path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{value}");
        value
    }

    /// Posts with a token, and expects it to be taken.
    pub(crate) async fn create_as(&self, token: &str, path: &str, body: &Value) {
        let request = self
            .request(Method::POST, path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let request = request.body(Full::from(body.to_string())).unwrap();
        let (status, answer) = read(self.send(request).await).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
    }

    pub(crate) async fn watch(&self, path: &str) -> Lines {
        self.watch_by(self.request(Method::GET, path)).await
    }

    /// Watches with a token.
    pub(crate) async fn watch_as(&self, token: &str, path: &str) -> Lines {
        let request = self.request(Method::GET, path);
        self.watch_by(request.header("authorization", format!("Bearer {token}"))).await
    }

    async fn watch_by(&self, request: http::request::Builder) -> Lines {
        let response = self.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Lines { body: response.into_body(), rest: Vec::new() }
    }
}

pub(crate) async fn read(response: http::Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

/// The lines of a watch.
pub(crate) struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The next event; `None` when the server ended the watch.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event arrives in time");
            self.rest.extend(frame?.unwrap().into_data().unwrap());
        }
    }

    /// The next event as its type and the object's name.
    pub(crate) async fn event(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        let text =
            |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("/type"), text("/object/metadata/name"))
    }
}

/// A service with a label.
pub(crate) fn service(name: &str, label: &str) -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"team": label}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
    })
}

/// A virtual service that sends a host's traffic to itself.
pub(crate) fn route(name: &str) -> Value {
    serde_json::json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": [name], "http": [{"route": [{"destination": {"host": name}}]}]},
    })
}
