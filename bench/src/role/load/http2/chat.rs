//! A gRPC stream in both directions: a message there, a message back, over one call.

use std::io;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;

use crate::role::backend::{CHAT, grpc_message};

/// A call that stays open.
pub struct Chat {
    up: SendStream<Bytes>,
    down: RecvStream,
    message: Bytes,
    endpoint: Option<usize>,
}

impl Chat {
    /// Begins the call, and makes the first exchange: nginx passes a call on with its first message only.
    pub async fn open(sender: SendRequest<Bytes>, host: &str) -> io::Result<Chat> {
        let mut sender = sender.ready().await.map_err(io::Error::other)?;
        let request = Request::builder().method("POST").uri(format!("http://{host}{CHAT}"));
        let request = request.header("user-agent", "meltemi-bench").header("te", "trailers");
        let request = request.header("content-type", "application/grpc");
        let request = request.body(()).map_err(io::Error::other)?;
        let (response, mut up) = sender.send_request(request, false).map_err(io::Error::other)?;
        let message = Bytes::from(grpc_message());
        up.send_data(message.clone(), false).map_err(io::Error::other)?;
        let response = response.await.map_err(io::Error::other)?;
        if response.status() != 200 {
            return Err(io::Error::other(format!("status {}", response.status())));
        }
        let endpoint =
            response.headers().get("x-endpoint").and_then(|it| it.to_str().ok()?.parse().ok());
        let down = response.into_body();
        let mut chat = Chat { up, down, message, endpoint };
        chat.answered().await?;
        Ok(chat)
    }

    /// Which endpoint is at the other end.
    pub fn endpoint(&self) -> Option<usize> {
        self.endpoint
    }

    /// Sends a message, and waits for the one that answers it; gives its length.
    pub async fn exchange(&mut self) -> io::Result<usize> {
        self.up.send_data(self.message.clone(), false).map_err(io::Error::other)?;
        self.answered().await
    }

    async fn answered(&mut self) -> io::Result<usize> {
        let mut bytes = 0;
        while bytes < self.message.len() {
            let data = self.down.data().await;
            let data = data.ok_or_else(|| io::Error::other("the stream ended"))?;
            let length = data.map_err(io::Error::other)?.len();
            self.down.flow_control().release_capacity(length).map_err(io::Error::other)?;
            bytes += length;
        }
        match bytes == self.message.len() {
            true => Ok(bytes),
            false => Err(io::Error::other("more came back than was sent")),
        }
    }
}
