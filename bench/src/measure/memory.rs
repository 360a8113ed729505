//! Turns that measure memory: with idle connections, and with many services.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::{MIB, Turn, expect_measuring};
use crate::error::BenchError;
use crate::figures::Figure;
use crate::process::Process;
use crate::role::load::connection::connect;
use crate::role::load::http1::{Http1, request_through};

/// Opening many idle connections through a slow proxy takes a while.
const HOLD: Duration = Duration::from_secs(120);
/// How long one service's answer may take.
const EACH: Duration = Duration::from_secs(20);

impl Turn<'_> {
    /// Memory before anything was carried but what the probe did, and with idle connections.
    pub(super) async fn idle(&mut self) -> Result<(), BenchError> {
        let idle = self.contestant.front_memory() as f64;
        let mut load = Process::role("hold", &self.ask.hold(), self.directory)?;
        let held = expect_measuring(&mut load, HOLD).await;
        let held = held.map(|()| self.contestant.front_memory() as f64);
        load.terminate();
        load.ended().await;
        let (held, connections) = (held?, self.ask.connections as f64);
        self.samples.push(Figure::IdleMib, idle / MIB);
        self.samples.push(Figure::HeldMib, held / MIB);
        self.samples.push(Figure::KibPerConnection, (held - idle) / 1024.0 / connections);
        Ok(())
    }

    /// Memory before any service was asked for, and when the first so many were, once each.
    pub(super) async fn services(&mut self, called: usize) -> Result<(), BenchError> {
        let idle = self.contestant.front_memory() as f64;
        for target in self.ask.targets.clone() {
            if let Err(reason) = ask_each(target, called).await {
                return Err(self.contestant.not_ready(&reason));
            }
        }
        self.samples.push(Figure::IdleMib, idle / MIB);
        let subscribed = self.contestant.front_memory() as f64;
        self.samples.push(Figure::SubscribedMib, subscribed / MIB);
        Ok(())
    }
}

/// One request to each service, over one connection; each must be answered well.
async fn ask_each(target: SocketAddr, services: usize) -> Result<(), String> {
    let failed = |host: &str, reason: String| format!("no answer from {host}: {reason}");
    let stream = connect(target).await.map_err(|error| error.to_string())?;
    let mut connection = Http1::new(stream);
    for number in 1..=services {
        let host = format!("service-{number}.example.com:9080");
        match timeout(EACH, connection.exchange(&request_through(&host))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(failed(&host, error.to_string())),
            Err(_) => return Err(failed(&host, format!("none within {EACH:?}"))),
        }
    }
    Ok(())
}
