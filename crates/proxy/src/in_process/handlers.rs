//! Which of a workload's ports are served by this very process, and where their connections are given.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;

use tokio::sync::mpsc;

/// The connections that a handler is to serve, by HTTP of either version. The other end of each is the data path's.
pub type Incoming = mpsc::UnboundedReceiver<UnixStream>;

/// The ports that are served in this process.
#[derive(Debug, Clone, Default)]
pub struct Handlers {
    ports: BTreeMap<u16, mpsc::UnboundedSender<UnixStream>>,
}

impl Handlers {
    /// Has a port served in this process; gives what is to be served.
    pub fn serve(&mut self, port: u16) -> Incoming {
        let (give, take) = mpsc::unbounded_channel();
        self.ports.insert(port, give);
        take
    }

    /// Whether a port is served in this process.
    pub(crate) fn has(&self, port: u16) -> bool {
        self.ports.contains_key(&port)
    }

    /// A connection to the handler of a port; `None` where the port is not served here.
    pub(crate) fn connect(&self, port: u16) -> Option<io::Result<tokio::net::UnixStream>> {
        self.ports.get(&port).map(connect)
    }
}

fn connect(handler: &mpsc::UnboundedSender<UnixStream>) -> io::Result<tokio::net::UnixStream> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let gone = |_| io::Error::new(io::ErrorKind::ConnectionRefused, "its handler has ended");
    handler.send(far).map_err(gone)?;
    tokio::net::UnixStream::from_std(near)
}
