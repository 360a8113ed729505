//! One program of the bookshop with its sidecar.

use meltemi_telemetry::scrape;
use serde::Deserialize;

use super::DemoError;
use super::child::Child;
use super::figures::Counts;
use super::plan::Instance;
use crate::client::{Address, Client};

/// Where a proxy tells what it counted.
const STATS: &str = "/stats/prometheus";

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
        let text = match self.metrics.text(STATS).await {
            Ok(text) => text,
            // It ended while it was asked.
            Err(_) if self.child.status().is_some() => return Ok(()),
            Err(reason) => {
                return Err(DemoError::Fetch { name: self.instance.name(), reason });
            }
        };
        let scrape = scrape::parse(&text)
            .map_err(|reason| DemoError::Metrics { name: self.instance.name(), reason })?;
        self.counts = Counts::of(&scrape);
        Ok(())
    }
}
