//! Takes connections from the kernel and gives each to the worker that has the fewest.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::config::Bind;
use crate::in_process::Asked;
use crate::worker::Load;

/// How long to wait after the kernel refused to give a connection (no file descriptors left, for example).
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The application's HTTP proxy.
    Outbound,
    /// The mesh, towards the application.
    Inbound,
    /// The application, towards one port of a service.
    Upstream(Arc<str>, u16),
    /// The application, towards the hosts of a Sidecar resource's listener.
    Egress(Arc<Bind>),
    /// Whoever reaches a Sidecar resource's ingress listener of this number, towards the application.
    Ingress(u16),
    /// A program of this process, without a connection.
    Call,
}

impl Purpose {
    /// Whether its connections lead to the application.
    pub(crate) fn is_inbound(&self) -> bool {
        matches!(self, Purpose::Inbound | Purpose::Ingress(_))
    }
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) incoming: Incoming,
    pub(crate) purpose: Purpose,
}

/// A connection as the kernel gives it.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Over TCP, from this address.
    Tcp(TcpStream, SocketAddr),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// None: a call of this very process.
    Call(Box<Asked>),
    /// None either: who asks is told once the worker has come to it.
    Asks(oneshot::Sender<()>),
}

/// Where a worker takes its connections from.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) accepted: UnboundedSender<Accepted>,
    pub(crate) load: Arc<Load>,
}

/// Accepts on all listeners until the other end of `until` is closed. Blocks its thread.
pub(crate) fn accept(
    listeners: &[(TcpListener, Purpose)],
    doors: &[Door],
    until: &UnixStream,
) -> io::Result<()> {
    for (listener, _) in listeners {
        listener.set_nonblocking(true)?;
    }
    let mut watched: Vec<PollFd<'_>> = std::iter::once(until.as_fd())
        .chain(listeners.iter().map(|(listener, _)| listener.as_fd()))
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    loop {
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !watched[0].revents().is_empty() {
            return Ok(());
        }
        for (fd, (listener, purpose)) in watched[1..].iter().zip(listeners) {
            if !fd.revents().is_empty() {
                drain(listener, purpose, doors);
            }
        }
    }
}

/// Takes all connections that wait on a listener.
fn drain(listener: &TcpListener, purpose: &Purpose, doors: &[Door]) {
    loop {
        match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((socket, Some(remote))) => match SocketAddr::try_from(remote) {
                Ok(remote) => give(doors, socket, remote, purpose),
                Err(error) => {
                    tracing::debug!(%error, "a connection without an address was dropped")
                }
            },
            Ok((_, None)) | Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                std::thread::sleep(PAUSE);
                return;
            }
        }
    }
}

fn give(doors: &[Door], socket: OwnedFd, remote: SocketAddr, purpose: &Purpose) {
    let stream = TcpStream::from(socket);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    hand_over(doors, Incoming::Tcp(stream, remote), purpose);
}

/// Gives a connection to the worker that has the fewest.
pub(crate) fn hand_over(doors: &[Door], incoming: Incoming, purpose: &Purpose) {
    // Counted here, so that a burst is spread although no worker has seen it yet.
    let Some(door) = doors.iter().min_by_key(|door| door.load.connections.load(Relaxed)) else {
        return;
    };
    door.load.enter(purpose.is_inbound());
    // A worker that has ended takes none, and nobody counts its load.
    let _ = door.accepted.send(Accepted { incoming, purpose: purpose.clone() });
}
