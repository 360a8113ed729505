//! One connection of the load for as long as the load lasts: opened anew when it has ended.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::http1::{Http1, request};
use super::{Args, Load, http2, tcp};
use crate::scenario::Wire;

/// A pause after a failure, lest a proxy that refuses is asked a million times.
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps a connection busy.
pub(super) async fn keep(load: Rc<Load>, args: Args, target: SocketAddr) {
    loop {
        let outcome = match args.wire {
            Wire::Http1 => http1(&load, &args, target).await,
            Wire::Http1Close => http1_close(&load, &args, target).await,
            Wire::H2 | Wire::Grpc | Wire::GrpcStream => http2::run(&load, &args, target).await,
            Wire::Tcp => tcp::run(&load, target).await,
            Wire::TcpShort => tcp::short(&load, &args.target).await,
        };
        if let Err(error) = outcome {
            load.failed(error);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Connects.
pub async fn connect(target: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn http1(load: &Load, args: &Args, target: SocketAddr) -> std::io::Result<()> {
    let request = request(&args.host, false);
    let mut connection = Http1::new(connect(target).await?);
    loop {
        let due = load.pace.next().await;
        let answer = connection.exchange(&request).await?;
        load.answered(due, answer.body);
        if answer.close {
            return Ok(());
        }
    }
}

async fn http1_close(load: &Load, args: &Args, target: SocketAddr) -> std::io::Result<()> {
    let request = request(&args.host, true);
    loop {
        let due = load.pace.next().await;
        let mut connection = Http1::new(connect(target).await?);
        let answer = connection.exchange(&request).await?;
        load.answered(due, answer.body);
        // The proxy's to close; so it is its port that rests for a minute, not one of ours.
        let mut stream = connection.into_stream();
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
    }
}
