//! Whether a contestant carries requests to every endpoint: asked before anything is measured.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::contestant::Contestant;
use crate::error::BenchError;
use crate::role::backend::BODY;
use crate::role::load::connection::connect;
use crate::role::load::http1::{Http1, request};
use crate::role::load::http2::{self, Chat};
use crate::role::load::tcp;
use crate::scenario::{Carried, Wire};

/// How long a contestant may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request may take.
const EACH: Duration = Duration::from_secs(5);
/// Between two requests of which the first failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until every endpoint has answered through the contestant.
pub async fn ready(
    contestant: &mut Contestant,
    wire: Wire,
    endpoints: usize,
) -> Result<(), BenchError> {
    let began = Instant::now();
    let (mut seen, mut reason) = (BTreeSet::new(), String::new());
    for target in contestant.targets.clone().into_iter().cycle() {
        contestant.check()?;
        match timeout(EACH, once(target, contestant.host, wire)).await {
            Ok(Ok(Some(endpoint))) => {
                seen.insert(endpoint);
            }
            // Of bytes it cannot be seen where they come from.
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => {
                reason = error.to_string();
                sleep(PAUSE).await;
            }
            Err(_) => reason = format!("no answer within {EACH:?}"),
        }
        if seen.len() == endpoints {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    let count = seen.len();
    let what =
        format!("{count} of {endpoints} endpoints answered through it in {PATIENCE:?}: {reason}");
    Err(contestant.not_ready(&what))
}

/// Waits until something listens: where a request would change what is measured.
pub async fn listening(contestant: &mut Contestant) -> Result<(), BenchError> {
    let began = Instant::now();
    for target in contestant.targets.clone() {
        while let Err(error) = connect(target).await {
            contestant.check()?;
            if began.elapsed() > PATIENCE {
                return Err(contestant.not_ready(&format!("{target} in {PATIENCE:?}: {error}")));
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// One request over a connection of its own; gives the endpoint that answered.
async fn once(target: SocketAddr, host: &str, wire: Wire) -> io::Result<Option<usize>> {
    let mut stream = connect(target).await?;
    let (body, endpoint) = match wire.carried() {
        Carried::Tcp if wire == Wire::TcpShort => {
            drop(stream);
            return tcp::exchange(target).await.map(|()| None);
        }
        Carried::Tcp => {
            stream.write_all(b"x").await?;
            stream.read_u8().await?;
            return Ok(None);
        }
        Carried::Http1 => {
            let mut connection = Http1::new(stream);
            let answer = connection.exchange(&request(host, false)).await?;
            (answer.body, connection.endpoint())
        }
        Carried::Http2 => {
            let handshake = h2::client::handshake(stream).await;
            let (sender, connection) = handshake.map_err(io::Error::other)?;
            let answer = tokio::select! {
                answer = over_http2(sender, host, wire) => answer?,
                ended = connection => {
                    ended.map_err(io::Error::other)?;
                    return Err(io::Error::other("the connection ended without an answer"));
                }
            };
            answer
        }
    };
    if body < BODY {
        return Err(io::Error::other(format!("an answer of {body} bytes instead of {BODY}")));
    }
    let endpoint =
        endpoint.ok_or_else(|| io::Error::other("an answer that is not an endpoint's"))?;
    Ok(Some(endpoint))
}

/// One call; gives the answer's length and its endpoint.
async fn over_http2(
    sender: h2::client::SendRequest<bytes::Bytes>,
    host: &str,
    wire: Wire,
) -> io::Result<(usize, Option<usize>)> {
    if wire == Wire::GrpcStream {
        let mut chat = Chat::open(sender, host).await?;
        return Ok((chat.exchange().await?, chat.endpoint()));
    }
    let answer = http2::exchange(sender, host, wire).await?;
    Ok((answer.body, answer.endpoint))
}
