//! HTTP/2 of an endpoint: the body to each GET; to each gRPC call a message of a kilobyte with its status, or one for
//! each that comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::{Answer, BODY};

/// The method whose calls stay open, and answer each message with one.
pub const CHAT: &str = "/bench.Items/Chat";

/// Serves a connection of which `read` was read already.
pub(super) async fn serve(stream: TcpStream, read: Vec<u8>, answer: &Answer) -> io::Result<()> {
    let io = Replayed { read, at: 0, stream };
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000).initial_connection_window_size(1 << 20);
    let mut connection = builder.handshake::<_, Bytes>(io).await.map_err(io::Error::other)?;
    let number = answer.number;
    let plain = Bytes::from(vec![b'x'; answer.body]);
    let message = Bytes::from(grpc_message());
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        let is_grpc = request
            .headers()
            .get("content-type")
            .is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
        let is_chat = is_grpc && request.uri().path() == CHAT;
        let body = if is_grpc { message.clone() } else { plain.clone() };
        // What is left of a request whose caller is gone is dropped with it.
        spawn_local(async move {
            let _ = match is_chat {
                true => chat(request, respond, number, body).await,
                false => respond_to(request, respond, number, body, is_grpc).await,
            };
        });
    }
    Ok(())
}

async fn respond_to(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    number: usize,
    body: Bytes,
    is_grpc: bool,
) -> Result<(), h2::Error> {
    let mut upload = request.into_body();
    while let Some(data) = upload.data().await {
        let length = data?.len();
        upload.flow_control().release_capacity(length)?;
    }
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert("x-endpoint", HeaderValue::from(number));
    if !is_grpc {
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("content-length", HeaderValue::from(body.len()));
        return respond.send_response(response, false)?.send_data(body, true);
    }
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(body, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

/// Answers each message with one, until the caller ends the call.
async fn chat(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    number: usize,
    message: Bytes,
) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    response.headers_mut().insert("x-endpoint", HeaderValue::from(number));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut down = respond.send_response(response, false)?;
    let mut up = request.into_body();
    let mut read = 0;
    while let Some(data) = up.data().await {
        let length = data?.len();
        up.flow_control().release_capacity(length)?;
        read += length;
        // Messages are of one length, so that where one ends can be counted.
        while read >= message.len() {
            read -= message.len();
            down.send_data(message.clone(), false)?;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    down.send_trailers(trailers)
}

/// A message of a kilobyte behind the five bytes that say so: not compressed, and its length.
pub fn grpc_message() -> Vec<u8> {
    let mut message = vec![0];
    message.extend((BODY as u32).to_be_bytes());
    message.resize(message.len() + BODY, b'x');
    message
}

/// A stream with what was read of it before.
struct Replayed {
    read: Vec<u8>,
    at: usize,
    stream: TcpStream,
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.read[self.at..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = left.len().min(buf.remaining());
        buf.put_slice(&left[..length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
