//! The guard's requests: one at a time, over a few connections in turn, so that each takes the same wake-ups.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::GuardError;
use crate::contestant::Contestant;
use crate::error::BenchError;
use crate::role::load::connection::connect;
use crate::role::load::http1::{Http1, request};
use crate::role::load::http2;
use crate::scenario::{Carried, Wire};

/// Connections.
pub const CONNECTIONS: usize = 4;
/// How long one request may take, the proxy being slowed down fiftyfold.
const EACH: Duration = Duration::from_secs(20);

/// Connections that are kept.
#[derive(Debug)]
pub struct Driver {
    host: &'static str,
    wire: Wire,
    connections: Connections,
}

#[derive(Debug)]
enum Connections {
    Http1 {
        request: Vec<u8>,
        all: Vec<Http1>,
    },
    /// Tasks move the frames of each connection; they end with the driver.
    Http2 {
        all: Vec<SendRequest<Bytes>>,
        _tasks: JoinSet<Result<(), h2::Error>>,
    },
}

impl Driver {
    /// Opens them.
    pub async fn connect(contestant: &Contestant, wire: Wire) -> Result<Driver, BenchError> {
        let failed = || BenchError::system("connect to the proxy");
        let targets = contestant.targets.iter().cycle().take(CONNECTIONS);
        let is_http2 = wire.carried() == Carried::Http2;
        let (mut http1, mut http2, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for target in targets {
            let stream = connect(*target).await.map_err(failed())?;
            if is_http2 {
                let handshake = h2::client::handshake(stream).await;
                let (sender, connection) = handshake.map_err(io::Error::other).map_err(failed())?;
                tasks.spawn(connection);
                http2.push(sender);
            } else {
                http1.push(Http1::new(stream));
            }
        }
        let connections = match is_http2 {
            true => Connections::Http2 { all: http2, _tasks: tasks },
            false => Connections::Http1 { request: request(contestant.host, false), all: http1 },
        };
        Ok(Driver { host: contestant.host, wire, connections })
    }

    /// Sends so many requests, each when the one before is answered.
    ///
    /// # Errors
    /// The first one that is not answered as it should be.
    pub async fn send(
        &mut self,
        contestant: &mut Contestant,
        requests: u32,
    ) -> Result<(), BenchError> {
        for number in 1..=requests {
            let failure = match timeout(EACH, self.exchange(number as usize)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {EACH:?}"),
            };
            // A proxy that has ended says more.
            contestant.check()?;
            return Err(GuardError::Request { number, reason: failure }.into());
        }
        Ok(())
    }

    async fn exchange(&mut self, number: usize) -> io::Result<()> {
        match &mut self.connections {
            Connections::Http1 { request, all } => {
                let at = number % all.len();
                let answer = all[at].exchange(request).await?;
                if answer.close {
                    return Err(io::Error::other("the proxy closed a connection"));
                }
                Ok(())
            }
            Connections::Http2 { all, .. } => {
                let sender = all[number % all.len()].clone();
                http2::exchange(sender, self.host, self.wire).await.map(drop)
            }
        }
    }
}
