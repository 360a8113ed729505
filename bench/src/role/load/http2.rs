//! HTTP/2 and gRPC of the load generator: some streams at a time on one connection.

mod chat;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::task::JoinSet;

pub use self::chat::Chat;
use super::connection::connect;
use super::{Args, Load};
use crate::role::backend::grpc_message;
use crate::scenario::Wire;

/// What the other side may send before it is told that some was read, bytes.
const WINDOW: u32 = 1 << 20;

/// Loads over a connection until it ends or a request on it fails.
pub(super) async fn run(load: &Rc<Load>, args: &Args, target: SocketAddr) -> io::Result<()> {
    let stream = connect(target).await?;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(WINDOW).initial_window_size(WINDOW).enable_push(false);
    let handshake = builder.handshake::<_, Bytes>(stream).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    let mut tasks = JoinSet::new();
    for _ in 0..args.streams {
        let (load, args, sender) = (load.clone(), args.clone(), sender.clone());
        tasks.spawn_local(async move {
            let outcome = match args.wire {
                Wire::GrpcStream => chat(&load, &args, sender).await,
                _ => calls(&load, &args, sender).await,
            };
            outcome.err().unwrap_or_else(|| io::Error::other("a stream ended"))
        });
    }
    tokio::select! {
        ended = connection => ended.map_err(io::Error::other),
        Some(failed) = tasks.join_next() => {
            Err(failed.unwrap_or_else(io::Error::other))
        }
    }
}

async fn calls(load: &Load, args: &Args, sender: SendRequest<Bytes>) -> io::Result<()> {
    loop {
        let due = load.pace.next().await;
        let answer = exchange(sender.clone(), &args.host, args.wire).await?;
        load.answered(due, answer.body);
    }
}

/// One call for good, and in it a message there and a message back.
async fn chat(load: &Load, args: &Args, sender: SendRequest<Bytes>) -> io::Result<()> {
    let mut chat = Chat::open(sender, &args.host).await?;
    loop {
        let due = load.pace.next().await;
        let bytes = chat.exchange().await?;
        load.answered(due, bytes);
    }
}

/// An answer that was good.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Length of its body.
    pub body: usize,
    /// Which endpoint gave it.
    pub endpoint: Option<usize>,
}

/// One request, whose answer must be good.
pub async fn exchange(sender: SendRequest<Bytes>, host: &str, wire: Wire) -> io::Result<Answer> {
    let is_grpc = wire == Wire::Grpc;
    let mut sender = sender.ready().await.map_err(io::Error::other)?;
    let request = Request::builder().header("user-agent", "meltemi-bench");
    let request = if is_grpc {
        let request = request.method("POST").uri(format!("http://{host}/bench.Items/Get"));
        request.header("content-type", "application/grpc").header("te", "trailers")
    } else {
        request.uri(format!("http://{host}/items/42"))
    };
    let request = request.body(()).map_err(io::Error::other)?;
    let (response, mut upload) =
        sender.send_request(request, !is_grpc).map_err(io::Error::other)?;
    if is_grpc {
        upload.send_data(Bytes::from(grpc_message()), true).map_err(io::Error::other)?;
    }
    let response = response.await.map_err(io::Error::other)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let endpoint =
        response.headers().get("x-endpoint").and_then(|it| it.to_str().ok()?.parse().ok());
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let length = data.map_err(io::Error::other)?.len();
        body.flow_control().release_capacity(length).map_err(io::Error::other)?;
        bytes += length;
    }
    if is_grpc {
        let trailers = body.trailers().await.map_err(io::Error::other)?.unwrap_or_default();
        let status = trailers.get("grpc-status").map(|it| it.as_bytes());
        if status != Some(b"0") {
            return Err(io::Error::other(format!("grpc-status {status:?}")));
        }
    }
    Ok(Answer { body: bytes, endpoint })
}
