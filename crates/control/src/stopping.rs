//! The sign that the control plane stops, and connections that end with it, or with their peer's certificate.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use meltemi_identity::Identity;
use meltemi_wire::transport::{Connection, Peer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// How long a client may take to send the preface of HTTP/2; from then on it is asked by pings whether it is there.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// The length of the preface, bytes.
const PREFACE: usize = 24;

/// Tells every part to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

impl Stopping {
    /// Waits for the sign; its sender's end is one too.
    pub(crate) async fn wait(mut self) {
        drop(self.0.wait_for(|stopping| *stopping).await);
    }
}

/// A connection that ends when the control plane stops, as the streams of proxies never end by themselves; when its
/// peer's certificate is good no longer; and when no client introduces itself in time.
pub(crate) struct Closable {
    io: Connection,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    stopped: bool,
    /// Until the preface is read.
    introduction: Option<Introduction>,
}

struct Introduction {
    due: Pin<Box<Sleep>>,
    missing: usize,
}

impl Closable {
    /// `judge` is who knows whether certificates are good; none in plaintext.
    pub(crate) fn new(io: Connection, stopping: Stopping, judge: Option<Identity>) -> Self {
        let shown = judge.zip(io.connect_info().certificate);
        let end = async move {
            let Some((judge, certificate)) = shown else { return stopping.wait().await };
            tokio::select! {
                () = stopping.wait() => {}
                why = judge.outlived(&certificate) => {
                    tracing::info!(?why, "a connection has ended with its peer's certificate");
                }
            }
        };
        let due = Box::pin(tokio::time::sleep(INTRODUCTION));
        Closable {
            io,
            end: Box::pin(end),
            stopped: false,
            introduction: Some(Introduction { due, missing: PREFACE }),
        }
    }

    /// Whether the connection is to end now.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.stopped {
            let is_late =
                self.introduction.as_mut().is_some_and(|it| it.due.as_mut().poll(cx).is_ready());
            self.stopped = is_late || self.end.as_mut().poll(cx).is_ready();
        }
        self.stopped
    }

    /// What a write has come to; after the end a client that takes nothing is not waited for.
    fn written<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending if self.stopped => {
                Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)))
            }
            outcome => outcome,
        }
    }
}

impl Connected for Closable {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.io.connect_info()
    }
}

impl AsyncRead for Closable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_end(cx) {
            // An end of file: what was answered so far is still written.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buffer);
        if let Some(introduction) = &mut self.introduction {
            let read = buffer.filled().len() - before;
            introduction.missing = introduction.missing.saturating_sub(read);
            if introduction.missing == 0 {
                self.introduction = None;
            }
        }
        outcome
    }
}

impl AsyncWrite for Closable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.written(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
        self.written(outcome)
    }
}
