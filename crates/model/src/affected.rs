//! What a change of resources has changed in the snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;

use meltemi_names::Host;

/// An endpoint that is new, different or gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointChange {
    /// The service's host.
    pub host: Host,
    /// The workload's name.
    pub workload: Arc<str>,
    /// Whether it is gone.
    pub removed: bool,
}

/// The parts of a snapshot that differ from the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Hosts of services that are new, different (endpoints aside) or gone.
    pub services: BTreeSet<Host>,
    /// Endpoints, each named once.
    pub endpoints: BTreeSet<EndpointChange>,
    /// Workloads whose own view is new, different or gone: namespace and name.
    pub workloads: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Whether a `Sidecar` is new, different or gone, so that viewers may see other services than before.
    pub sidecars: bool,
}

impl Affected {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
            && self.endpoints.is_empty()
            && self.workloads.is_empty()
            && !self.sidecars
    }
}
