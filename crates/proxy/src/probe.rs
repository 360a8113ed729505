//! Whether the application beside the proxy may be called. Its ports are asked until they answer, then only after a
//! refusal; a member of a group whose probe says how is asked in that way instead.

mod attempt;
pub(crate) mod fuzzing;
mod member;
mod plan;
mod tally;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use meltemi_wire::registration::GroupNews;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, watch};

use crate::config::At;
use attempt::Attempts;

/// The wait after a first probe that was not answered; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest wait between two probes: an application that comes back is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How long a connect may take: on loopback only a full accept queue makes it slow.
const CONNECTING: Duration = Duration::from_secs(1);

/// Whether the application may be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// All of its ports answer, or its probe succeeds.
    pub ready: bool,
    /// What is missing, for people; empty when ready.
    pub reason: String,
}

/// Knows whether the application answers. Clones share what they know.
#[derive(Debug, Clone)]
pub struct AppHealth {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Those of a member are known when its group is.
    ports: ArcSwap<Vec<Port>>,
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
        let health = AppHealth::unknown("");
        health.shared.set_ports(ports);
        health.shared.tell();
        health
    }

    /// The health of an application of which is not known yet how to ask it.
    pub fn unknown(reason: &str) -> AppHealth {
        let state = State { ready: false, reason: reason.into() };
        let (state, ports) = (watch::Sender::new(state), ArcSwap::default());
        AppHealth { shared: Arc::new(Shared { ports, refused: Notify::new(), state }) }
    }

    /// To be called when the application refused a connection: probing begins again, and until it answers the
    /// application is not ready. Costs one atomic write if that is known; other ports than the application's own are
    /// passed over.
    pub fn report_refused(&self, port: u16) {
        let ports = self.shared.ports.load();
        let Some(port) = ports.iter().find(|it| it.number == port) else { return };
        if !port.silent.swap(true, Ordering::Relaxed) {
            self.shared.refused.notify_one();
        }
    }

    /// Tells of every change.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Asks a member as its group says, and otherwise as soon as its group says otherwise. Commands are run only where
    /// that is allowed on this machine. Ends only when the future is dropped.
    pub async fn run_member(
        &self,
        news: watch::Receiver<GroupNews>,
        allow_exec: bool,
        find: impl Fn(u16) -> At,
    ) {
        member::run(self, news, Attempts { allow_exec }, &find).await;
    }

    /// Probes when there is a reason to. `find` says where the application takes what comes for a port. Ends only when the
    /// future is dropped.
    pub async fn run(&self, find: impl Fn(u16) -> At) {
        self.run_with(|port| connect(find(port))).await;
    }

    async fn run_with<F>(&self, answers: impl Fn(u16) -> F)
    where
        F: Future<Output = bool>,
    {
        let mut wait = FIRST_WAIT;
        loop {
            self.shared.tell();
            let ports = self.shared.ports.load_full();
            let asked: Vec<&Port> = silent(&ports).collect();
            if asked.is_empty() {
                wait = FIRST_WAIT;
                self.shared.refused.notified().await;
                continue;
            }
            let probes = asked.iter().map(|port| answers(port.number));
            let found = futures_util::future::join_all(probes).await;
            for (port, answered) in asked.into_iter().zip(found) {
                if answered {
                    port.silent.store(false, Ordering::Relaxed);
                }
            }
            if silent(&ports).next().is_some() {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

impl Shared {
    /// Ports of before keep what is known of them.
    fn set_ports(&self, numbers: impl IntoIterator<Item = u16>) {
        let before = self.ports.load();
        let is_silent = |number| {
            let known = before.iter().find(|it| it.number == number);
            known.is_none_or(|port| port.silent.load(Ordering::Relaxed))
        };
        let ports = numbers
            .into_iter()
            .map(|number| Port { number, silent: AtomicBool::new(is_silent(number)) });
        self.ports.store(Arc::new(ports.collect()));
    }

    fn tell(&self) {
        let ports = self.ports.load();
        let silent: Vec<String> = silent(&ports).map(|port| port.number.to_string()).collect();
        let reason = match silent.as_slice() {
            [] => String::new(),
            [port] => format!("the application does not answer on port {port}"),
            ports => format!("the application does not answer on ports {}", ports.join(", ")),
        };
        self.set(State { ready: silent.is_empty(), reason });
    }

    fn set(&self, next: State) {
        self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        });
    }
}

fn silent(ports: &[Port]) -> impl Iterator<Item = &Port> {
    ports.iter().filter(|port| port.silent.load(Ordering::Relaxed))
}

/// Whether connections are taken at a place.
async fn connect(at: At) -> bool {
    match at {
        At::Loopback(port) => {
            let [four, six] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            within(TcpStream::connect((four, port))).await
                || within(TcpStream::connect((six, port))).await
        }
        At::Address(address) => within(TcpStream::connect(address)).await,
        At::Unix(path) => within(UnixStream::connect(path)).await,
    }
}

async fn within<T>(attempt: impl Future<Output = io::Result<T>>) -> bool {
    matches!(tokio::time::timeout(CONNECTING, attempt).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests;
