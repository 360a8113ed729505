//! HTTP/2 with prior knowledge, and gRPC on it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::calls::calls_client::CallsClient;
use crate::patience::within;

/// One HTTP/2 connection.
#[derive(Debug, Clone)]
pub struct Http2 {
    sender: SendRequest<Full<Bytes>>,
}

impl Http2 {
    /// Opens a connection.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let opened = handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = within("HTTP/2", opened).await.expect("HTTP/2");
        tokio::spawn(connection);
        Http2 { sender }
    }

    /// Sends a request and reads its whole response.
    ///
    /// # Panics
    /// If there is none.
    pub async fn call(&mut self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        self.try_call(request).await.unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// The same, telling where it fails: the stream was reset, or the connection ended.
    ///
    /// # Errors
    /// Hyper's.
    pub async fn try_call(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, hyper::Error> {
        let exchange = async {
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        within("an HTTP/2 response", exchange).await
    }
}

/// A gRPC client of the test application.
///
/// # Panics
/// If the address takes no connection.
pub async fn grpc(address: SocketAddr) -> CallsClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    CallsClient::new(within("a gRPC channel", endpoint.connect()).await.expect("a channel"))
}
