//! A small HTTP client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::mesh::Mesh;

/// Sends one request on a connection of its own; answers with status and body.
pub(crate) async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (StatusCode, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
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
