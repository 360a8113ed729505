//! One program of the bookshop with its sidecar.

use std::time::Duration;

use meltemi_telemetry::scrape;
use serde::Deserialize;
use tokio::time::timeout;

use super::DemoError;
use super::child::Child;
use super::figures::Counts;
use super::plan::Instance;
use crate::client::{Address, Client, ClientError};

/// Where a proxy tells what it counted.
const STATS: &str = "/stats/prometheus";
/// How long it may take to tell.
const ANSWER: Duration = Duration::from_secs(5);

/// What a sidecar writes when it is ready, as far as the demo asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Ready {
    /// `NAMESPACE/NAME` of its workload.
    pub(super) workload: String,
    /// Where its metrics are.
    pub(super) metrics: String,
}

/// A program of the bookshop that may be called.
#[derive(Debug)]
pub(super) struct Sidecar {
    /// What it is.
    pub(super) instance: Instance,
    /// Its process.
    pub(super) child: Child,
    /// Its address in the registry.
    pub(super) address: String,
    /// What it had counted when it was last asked.
    pub(super) counts: Counts,
    metrics: Client,
}

impl Sidecar {
    /// A sidecar that is ready.
    pub(super) fn new(
        instance: Instance,
        child: Child,
        ready: &Ready,
        address: String,
    ) -> Result<Sidecar, DemoError> {
        let metrics: Address = ready.metrics.parse().map_err(|reason| DemoError::Unclear {
            name: instance.name(),
            what: format!("its ready file has the metrics' address {:?}: {reason}", ready.metrics),
        })?;
        let metrics = Client::new(metrics, None);
        Ok(Sidecar { instance, child, address, counts: Counts::default(), metrics })
    }

    /// Asks it what it has counted. One that has ended keeps what it said last.
    pub(super) async fn count(&mut self) -> Result<(), DemoError> {
        if self.child.status().is_some() {
            return Ok(());
        }
        let text = match timeout(ANSWER, self.metrics.text(STATS)).await {
            Ok(Ok(text)) => text,
            // It ended while it was asked.
            _ if self.child.status().is_some() => return Ok(()),
            // Its connections break before its end is known: that one comes then.
            Ok(Err(error)) => match timeout(ANSWER, self.child.ended()).await {
                Ok(_) => return Ok(()),
                Err(_) => return Err(self.silent(reason(&error))),
            },
            Err(_) => return Err(self.silent(format!("no answer within {} s", ANSWER.as_secs()))),
        };
        let scrape = scrape::parse(&text)
            .map_err(|reason| DemoError::Metrics { name: self.instance.name(), reason })?;
        self.counts = Counts::of(&scrape);
        Ok(())
    }
    fn silent(&self, reason: String) -> DemoError {
        DemoError::Fetch { name: self.instance.name(), reason }
    }
}

/// Why there is no answer, without the advice for those who look for a control plane.
fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { url, why } => format!("nobody answers at {url}: {why}"),
        other => other.to_string(),
    }
}
