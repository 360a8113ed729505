//! A small HTTP client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meltemi_identity::Identity;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::mesh::Mesh;

/// Sends one request on a connection of its own; answers with status and body.
pub(crate) async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (StatusCode, String) {
    whole(ask(TcpStream::connect(address).await.unwrap(), request).await).await
}

/// The same as the bearer of a certificate.
pub(crate) async fn send_as(
    identity: &Identity,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (StatusCode, String) {
    whole(open_as(identity, address, request).await).await
}

/// The same, for answers that go on.
pub(crate) async fn open_as(
    identity: &Identity,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let mut config = ClientConfig::clone(&identity.tls().clients[0]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("istiod").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    ask(stream, request).await
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

async fn whole(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

pub(crate) fn request(address: SocketAddr, method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", address.to_string())
}

/// Reads a path without a token.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    send(address, request(address, Method::GET, path).body(Full::default()).unwrap()).await
}

impl Mesh {
    /// Asks the API as the local administrator.
    pub(crate) async fn api(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let address = self.plane.addresses().api;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request(address, method, path)
            .header("authorization", format!("Bearer {}", self.plane.file().token))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let (status, text) = send(address, request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}
