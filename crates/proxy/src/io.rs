//! A connection's bytes: plain TCP or TLS over it, and the two halves that a request's way needs at the
//! same time.

mod buffer;
mod cork;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

pub(crate) use buffer::{Buffer, lend, take_back};
pub(crate) use cork::Cork;

/// A transport.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP in plaintext.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A Unix socket of the application.
    Unix(UnixStream),
}

impl Stream {
    /// The TCP socket beneath, if there is one.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Tls(stream) => Some(stream.get_ref().0),
            Stream::Unix(_) => None,
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Tls(stream) => stream.get_ref().0.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.get_ref().0.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How long a connection between proxies is silent before the kernel asks whether the peer is there, and how often and how
/// many times it asks then: a machine that vanished is noticed within a minute.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Has the kernel look after a connection that may be silent for long.
pub(crate) fn keep_alive(stream: &TcpStream) {
    // Without it a connection works too.
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE) {
        tracing::debug!(%error, "TCP keep-alive could not be set");
    }
}

/// A shared handle to a transport within one worker: one holder reads while another writes. Each borrow lasts for one
/// poll only.
#[derive(Debug, Clone)]
pub(crate) struct Io(Rc<RefCell<Stream>>);

impl Io {
    pub(crate) fn new(stream: Stream) -> Io {
        Io(Rc::new(RefCell::new(stream)))
    }

    /// Reads into `into`, which must not be empty; 0 at the end of the stream. A peer that went away without TLS's
    /// closing message ends the stream too: HTTP's own framing tells whether something is missing.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut buffer);
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(0))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The socket of a connection in plaintext that nobody else holds.
    pub(crate) fn into_tcp(self) -> Option<TcpStream> {
        match Rc::try_unwrap(self.0).ok()?.into_inner() {
            Stream::Tcp(stream) => Some(stream),
            Stream::Tls(_) | Stream::Unix(_) => None,
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    /// Ends our direction: FIN, after TLS's closing message where there is TLS.
    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)).await
    }

    /// Who is at the other end, and which of our addresses it called; `None` once the connection is gone, and for Unix
    /// sockets.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let stream = self.0.borrow();
        let socket = stream.tcp()?;
        Some((socket.peer_addr().ok()?, socket.local_addr().ok()?))
    }

    /// Asks the kernel whether the peer has sent anything, its end included: one system call that does not wait for the
    /// reactor's word.
    pub(crate) fn is_silent(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = rustix::net::recv(&*self.0.borrow(), &mut [0u8; 1], flags);
        matches!(peeked, Err(Errno::AGAIN))
    }

    /// Has the kernel acknowledge what has come, now. A peer that writes a message in two parts waits for that between
    /// them (Nagle's algorithm), which would take the kernel's usual 40 ms.
    pub(crate) fn acknowledge(&self) {
        // Without it the rest comes later.
        if let Some(socket) = self.0.borrow().tcp() {
            let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
        }
    }

    /// Whether something may be there to read (data or the end). Costs no system call; wakes the task of `cx` else.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow().poll_read_ready(cx).map(drop)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Io::poll_write(&self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }
}
