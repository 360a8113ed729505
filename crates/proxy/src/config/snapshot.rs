//! Everything that requests read, as of one moment: one atomic load gives all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meltemi_policy::route::Table;
use meltemi_wire::proto::meltemi::v1;

use super::{Cluster, Inbound, Own};

/// What is known at one moment. Immutable; what did not change is shared with the snapshot before.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// One up with each swap.
    pub generation: u64,
    pub(super) names: HashMap<Arc<str>, Asked>,
    pub(super) inbound: Arc<Inbound>,
    pub(super) own: Arc<Own>,
}

/// A name that somebody asked for, once its answer is here.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) answer: Answer,
    /// Whether it was looked up since names were last dropped for want of room. Shared by all snapshots.
    pub(super) used: Arc<AtomicBool>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A service, its endpoints included.
    Known(Arc<Service>),
    /// The control plane says that there is no such service.
    Denied,
    /// The control plane's answer cannot be used, and no earlier one is held.
    Refused(Arc<str>),
}

impl Snapshot {
    /// The service that a name stands for, in the caller's own spelling of it (lower case, no trailing dot).
    pub fn find(&self, asked: &str) -> Option<&Arc<Service>> {
        match self.answer(asked) {
            Some(Answer::Known(service)) => Some(service),
            _ => None,
        }
    }

    /// What arrives for our own workload; empty while the control plane has not said it.
    pub fn inbound(&self) -> &Arc<Inbound> {
        &self.inbound
    }

    /// Who we are, as far as the control plane has said it.
    pub fn own(&self) -> &Arc<Own> {
        &self.own
    }

    /// All services with the names that they were asked for by; a service of several names comes several times.
    pub fn services(&self) -> impl Iterator<Item = (&str, &Arc<Service>)> {
        self.names.iter().filter_map(|(name, asked)| match &asked.answer {
            Answer::Known(service) => Some((&**name, service)),
            _ => None,
        })
    }

    pub(super) fn answer(&self, asked: &str) -> Option<&Answer> {
        let asked = self.names.get(asked)?;
        // Read first: most of the time it is set, and a cache line that nobody writes is shared by all cores.
        if !asked.used.load(Ordering::Relaxed) {
            asked.used.store(true, Ordering::Relaxed);
        }
        Some(&asked.answer)
    }
}

/// A service as callers see it.
#[derive(Debug)]
pub struct Service {
    /// The canonical host, whatever name it was asked for by.
    pub host: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name within the namespace; for a ServiceEntry its host.
    pub name: Arc<str>,
    /// Whether it lies outside of the mesh.
    pub external: bool,
    /// Where its endpoints' addresses come from.
    pub resolution: Resolution,
    /// One for each port, by number.
    pub clusters: Vec<Arc<Cluster>>,
    /// One for each port of each subset.
    pub subsets: Vec<Arc<Cluster>>,
    /// Where requests and connections go instead of to the service itself.
    pub table: Option<Arc<Table>>,
    /// Stands for the words of which `table` was made.
    pub(super) routes: u64,
}

impl Service {
    /// The cluster behind a port.
    pub fn cluster(&self, port: u16) -> Option<&Arc<Cluster>> {
        self.clusters.iter().find(|cluster| cluster.port == port)
    }

    /// The cluster of a subset behind a port.
    pub fn subset(&self, port: u16, name: &str) -> Option<&Arc<Cluster>> {
        let is_meant = |it: &&Arc<Cluster>| {
            it.port == port && it.subset.as_deref().is_some_and(|it| it == name)
        };
        self.subsets.iter().find(is_meant)
    }
}

/// Where the addresses of a service's endpoints come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The control plane sends them.
    Static,
    /// They are host names that this proxy resolves.
    Dns,
    /// There are none: the caller's own destination address is used.
    None,
}

impl From<v1::Resolution> for Resolution {
    fn from(resolution: v1::Resolution) -> Self {
        match resolution {
            v1::Resolution::Static => Resolution::Static,
            v1::Resolution::Dns | v1::Resolution::DnsRoundRobin => Resolution::Dns,
            v1::Resolution::None | v1::Resolution::DynamicDns => Resolution::None,
        }
    }
}
