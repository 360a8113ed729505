//! Connections that idle: each carries one request, so that everything that a proxy keeps for it is there.

use super::connection::connect;
use super::http1::{Http1, request};
use super::{Args, MEASURING};
use crate::error::BenchError;

/// Opens the connections, says so, and keeps them until it is ended.
pub(super) async fn run(args: &Args) -> Result<(), BenchError> {
    let request = request(&args.host, false);
    let mut held = Vec::with_capacity(args.connections);
    for number in 0..args.connections {
        let target = args.target[number % args.target.len()];
        let failed = || BenchError::system(format!("hold connection {} to {target}", number + 1));
        let mut connection = Http1::new(connect(target).await.map_err(failed())?);
        connection.exchange(&request).await.map_err(failed())?;
        held.push(connection);
    }
    println!("{MEASURING}");
    std::future::pending().await
}
