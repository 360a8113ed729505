//! Steady calls in the background, of which every failure is remembered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Http1;
use crate::patience::within;

/// Callers that get one target again and again, each over a connection of its own.
#[derive(Debug)]
pub struct Load {
    callers: JoinSet<()>,
    shared: Arc<Shared>,
}

/// What the callers saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Answers with status 200, by the instance that gave them.
    pub answers: BTreeMap<String, u64>,
    /// Everything else, in words.
    pub failures: Vec<String>,
}

impl Report {
    /// How many calls were answered well.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }
}

#[derive(Debug)]
struct Shared {
    report: Mutex<Report>,
    answered: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
}

impl Load {
    /// Starts so many callers of a target by way of an address.
    pub fn start(address: SocketAddr, target: &str, callers: usize) -> Self {
        let shared = Arc::new(Shared {
            report: Mutex::default(),
            answered: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
        });
        let mut set = JoinSet::new();
        for _ in 0..callers {
            set.spawn(call_on(shared.clone(), address, target.to_owned()));
        }
        Load { callers: set, shared }
    }

    /// Waits until so many further calls were answered.
    ///
    /// # Panics
    /// If they are not.
    pub async fn answers(&self, count: u64) {
        let mut answered = self.shared.answered.subscribe();
        let goal = *answered.borrow() + count;
        let reached = answered.wait_for(|answered| *answered >= goal);
        drop(within("answers to the load", reached).await);
    }

    /// What was seen so far.
    pub fn report(&self) -> Report {
        self.shared.report.lock().clone()
    }

    /// Lets each caller finish its call, and tells what all saw.
    ///
    /// # Panics
    /// If a caller does not finish.
    pub async fn stop(self) -> Report {
        self.shared.stopped.send_replace(true);
        // A caller that panicked has not been answered: its panic is the test's.
        within("the end of the load", self.callers.join_all()).await;
        self.shared.report.lock().clone()
    }
}

async fn call_on(shared: Arc<Shared>, address: SocketAddr, target: String) {
    let stopped = shared.stopped.subscribe();
    let mut connection = None;
    while !*stopped.borrow() {
        match call(&mut connection, address, &target).await {
            Ok(instance) => {
                *shared.report.lock().answers.entry(instance).or_default() += 1;
                shared.answered.send_modify(|answered| *answered += 1);
            }
            Err(failure) => {
                connection = None;
                shared.report.lock().failures.push(failure);
                // A caller that fails at once must not keep the machine busy.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Makes one call: the instance that answered, or what went wrong.
async fn call(
    connection: &mut Option<Http1>,
    address: SocketAddr,
    target: &str,
) -> Result<String, String> {
    let connection = match connection {
        Some(open) => open,
        None => {
            let opened = Http1::try_connect(address).await;
            connection.insert(opened.map_err(|error| format!("connecting: {error}"))?)
        }
    };
    let response = connection.try_call("GET", target, &[], b"").await;
    let response = response.map_err(|error| error.to_string())?;
    match response.status {
        200 => Ok(response.served_by().to_owned()),
        status => Err(format!("{status}: {}", response.text())),
    }
}
