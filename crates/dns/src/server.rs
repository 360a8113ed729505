//! The sockets: UDP and TCP on one address, started and stopped together.

mod handle;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::forward::{Forwarder, Patience, Upstreams};
use crate::names::Names;
use crate::zone::Zone;
use handle::Handler;

/// How often a free port is looked for that is free for UDP and TCP.
const PORT_ATTEMPTS: usize = 16;

/// What a name server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The DNS suffix of the mesh; names below it are never asked elsewhere.
    pub suffix: String,
    /// Who is asked for all other names.
    pub upstreams: Upstreams,
    /// How long that may take.
    pub patience: Patience,
    /// What clients may use.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            suffix: meltemi_names::DEFAULT_DOMAIN_SUFFIX.into(),
            upstreams: Upstreams::default(),
            patience: Patience::default(),
            limits: Limits::default(),
        }
    }
}

/// What clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// TCP connections at once; one more is closed as it comes.
    pub tcp_connections: usize,
    /// How long a TCP connection may take for its next question, and for taking an answer.
    pub tcp_idle: Duration,
    /// The largest question in bytes; a TCP connection that announces more is closed.
    pub question: usize,
    /// The largest reply over UDP on this machine, where nothing is fragmented, for clients that take so much. Others
    /// get at most 1232 bytes.
    pub local_udp_reply: u16,
    /// How long questions that wait for other servers may go on when the server is stopped.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tcp_connections: 256,
            tcp_idle: Duration::from_secs(10),
            question: 4096,
            local_udp_reply: 4096,
            grace: Duration::from_secs(1),
        }
    }
}

/// A running name server. It stops when it is dropped; [`Server::stop`] lets it finish what it has begun.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    grace: Duration,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Listens on an address, UDP and TCP; port 0 is one that is free for both.
    pub async fn bind(
        address: SocketAddr,
        config: Config,
        names: Arc<dyn Names>,
    ) -> Result<Server, Error> {
        let (udp, tcp) = bind_both(address).await?;
        Server::start(udp, tcp, config, names)
    }

    /// Serves on sockets that the caller has bound.
    pub fn start(
        udp: UdpSocket,
        tcp: TcpListener,
        config: Config,
        names: Arc<dyn Names>,
    ) -> Result<Server, Error> {
        let address = udp.local_addr().map_err(Error::Address)?;
        let own = vec![address, tcp.local_addr().map_err(Error::Address)?];
        let handler = Arc::new(Handler::new(
            Zone::new(&config.suffix)?,
            names,
            Forwarder::new(config.upstreams, own, config.patience),
        ));
        let (stop, stopping) = watch::channel(false);
        let limits = config.limits;
        let mut tasks = JoinSet::new();
        tasks.spawn(udp::serve(udp, handler.clone(), limits, stopping.clone()));
        tasks.spawn(tcp::serve(tcp, handler, limits, stopping));
        tracing::info!(%address, suffix = config.suffix, "DNS is served");
        Ok(Server { address, grace: limits.grace, stop, tasks })
    }

    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more questions, answers those that it has, at most for the grace time, and closes the sockets.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, finished).await.is_err() {
            tracing::info!(grace = ?self.grace, "questions that wait for other name servers are given up");
        }
        self.tasks.shutdown().await;
    }
}

async fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), Error> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let failed = |address, transport| move |source| Error::Bind { address, transport, source };
        let tcp = TcpListener::bind(address).await.map_err(failed(address, "TCP"))?;
        let chosen = tcp.local_addr().map_err(Error::Address)?;
        attempts -= 1;
        match UdpSocket::bind(chosen).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if attempts == 0 => return Err(failed(chosen, "UDP")(error)),
            Err(_) => {}
        }
    }
}

/// Ends when the server is stopped, or dropped.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stopping.wait_for(|stop| *stop).await;
}
