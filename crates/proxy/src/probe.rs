//! Whether the application beside the proxy answers on its ports: asked until it does, then only after a refusal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// The wait after a first probe that was not answered; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest wait between two probes: an application that comes back is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How long a connect may take: on loopback only a full accept queue makes it slow.
const CONNECTING: Duration = Duration::from_secs(1);

/// Whether the application may be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// All of its ports answer.
    pub ready: bool,
    /// Which do not, for people; empty when ready.
    pub reason: String,
}

/// Knows whether the application answers. Clones share what they know.
#[derive(Debug, Clone)]
pub struct AppHealth {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ports: Vec<Port>,
    /// A port that answered has refused a connection.
    refused: Notify,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct Port {
    number: u16,
    /// It has not answered since the start or the last refusal.
    silent: AtomicBool,
}

impl AppHealth {
    /// The health of an application with these TCP ports, of which none has answered yet. Without a port there is
    /// nothing to wait for: it is ready.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> AppHealth {
        let ports: Vec<Port> = ports
            .into_iter()
            .map(|number| Port { number, silent: AtomicBool::new(true) })
            .collect();
        let state = watch::Sender::new(State::default());
        let shared = Shared { ports, refused: Notify::new(), state };
        shared.tell();
        AppHealth { shared: Arc::new(shared) }
    }

    /// To be called when the application refused a connection: probing begins again, and until it answers the
    /// application is not ready. Costs one atomic write if that is known; other ports than the application's own are
    /// passed over.
    pub fn report_refused(&self, port: u16) {
        let Some(port) = self.shared.find(port) else { return };
        if !port.silent.swap(true, Ordering::Relaxed) {
            self.shared.refused.notify_one();
        }
    }

    /// Tells of every change.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Probes when there is a reason to. Ends only when the future is dropped.
    pub async fn run(&self) {
        self.run_with(connect).await;
    }

    async fn run_with<F>(&self, answers: impl Fn(u16) -> F)
    where
        F: Future<Output = bool>,
    {
        let mut wait = FIRST_WAIT;
        loop {
            self.shared.tell();
            let silent: Vec<&Port> = self.shared.silent().collect();
            if silent.is_empty() {
                wait = FIRST_WAIT;
                self.shared.refused.notified().await;
                continue;
            }
            let probes = silent.iter().map(|port| answers(port.number));
            let found = futures_util::future::join_all(probes).await;
            for (port, answered) in silent.into_iter().zip(found) {
                if answered {
                    port.silent.store(false, Ordering::Relaxed);
                }
            }
            if self.shared.silent().next().is_some() {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

impl Shared {
    fn find(&self, port: u16) -> Option<&Port> {
        self.ports.iter().find(|it| it.number == port)
    }

    fn silent(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(|port| port.silent.load(Ordering::Relaxed))
    }

    fn tell(&self) {
        let silent: Vec<String> = self.silent().map(|port| port.number.to_string()).collect();
        let reason = match silent.as_slice() {
            [] => String::new(),
            [port] => format!("the application does not answer on port {port}"),
            ports => format!("the application does not answer on ports {}", ports.join(", ")),
        };
        let next = State { ready: silent.is_empty(), reason };
        self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        });
    }
}

/// Whether a port takes connections, at either loopback address.
async fn connect(port: u16) -> bool {
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let attempt = TcpStream::connect((address, port));
        if matches!(tokio::time::timeout(CONNECTING, attempt).await, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
