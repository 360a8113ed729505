//! Which endpoints of large services one client is sent: those that rank first for it (rendezvous hashing, gRFC A68).
//!
//! A client's choice depends on its name and on the names of the endpoints alone, so that it is the same after a new
//! connection and a restart of the control plane. Kept is what was chosen, with the ranks: most changes of a service are
//! none of this client's, which one look at the last rank tells.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_model::Endpoint;
use meltemi_policy::balance::{SUBSETTING_THRESHOLD, hash, rank, subset};

/// The endpoints of a host, by name.
type Endpoints = BTreeMap<Arc<str>, Arc<Endpoint>>;

/// The endpoints of a host that may be called.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Members<'a> {
    /// How many of them one client is sent where there are more than [`SUBSETTING_THRESHOLD`]; `None` for all.
    pub(crate) size: Option<usize>,
    /// By name; `None` where there is no such host.
    pub(crate) names: Option<&'a Endpoints>,
}

/// The subsets of one client.
#[derive(Debug, Default)]
pub(crate) struct Subsets {
    /// Made of the client's name; one without a name is sent everything.
    client: Option<u64>,
    hosts: HashMap<String, Subset>,
}

/// The endpoints of one host that rank first.
#[derive(Debug)]
struct Subset {
    size: usize,
    chosen: BTreeSet<(u64, Arc<str>)>,
}

impl Subsets {
    /// Those of the client of this name.
    pub(crate) fn of(client: &str) -> Self {
        Subsets { client: Some(hash(client.as_bytes())), hosts: HashMap::new() }
    }

    /// Whether the client is sent an endpoint.
    pub(crate) fn has(&self, host: &str, endpoint: &str) -> bool {
        let (Some(client), Some(subset)) = (self.client, self.hosts.get(host)) else { return true };
        subset.has(rank(client, endpoint), endpoint)
    }

    /// Looks at a host again of which the endpoints named by `changed` came or went, or of which it is not known yet how
    /// many there are. Answers with the names of those that the client is to be sent now and was not, or the other way round;
    /// there may be others among them.
    pub(crate) fn look<'a>(
        &mut self,
        host: &str,
        members: Members<'_>,
        changed: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Arc<str>> {
        let Some(client) = self.client else { return Vec::new() };
        let subset = self.hosts.get_mut(host);
        let Some((size, names)) = members.limited() else {
            let gone = self.hosts.remove(host);
            // The client may be sent all now.
            let all = members.names.into_iter().flat_map(BTreeMap::keys).cloned();
            return gone.map(|gone| gone.names().chain(all).collect()).unwrap_or_default();
        };
        match subset {
            Some(subset) if subset.size == size => {
                let mut changed = changed.into_iter();
                match changed.any(|name| subset.is_touched(client, name, names)) {
                    true => subset.choose_again(client, names),
                    false => Vec::new(),
                }
            }
            _ => {
                let next = Subset::choose(client, names, size);
                let before = self.hosts.insert(host.to_owned(), next);
                let before = before.iter().flat_map(Subset::names).collect::<Vec<_>>();
                before.into_iter().chain(names.keys().cloned()).collect()
            }
        }
    }

    /// Forgets a host that the client no longer follows.
    pub(crate) fn forget(&mut self, host: &str) {
        self.hosts.remove(host);
    }

    /// Forgets everything that was chosen, as it is not known what has changed.
    pub(crate) fn clear(&mut self) {
        self.hosts.clear();
    }
}

impl<'a> Members<'a> {
    /// The number of endpoints that a client is sent, if not all of them.
    fn limited(self) -> Option<(usize, &'a Endpoints)> {
        let (size, names) = (self.size?, self.names?);
        (names.len() > size.max(SUBSETTING_THRESHOLD)).then_some((size, names))
    }
}

impl Subset {
    fn choose(client: u64, names: &Endpoints, size: usize) -> Self {
        let all: Vec<&Arc<str>> = names.keys().collect();
        let chosen = subset(client, all.iter().map(|name| &***name), size);
        let ranked = chosen.into_iter().map(|index| (rank(client, all[index]), all[index].clone()));
        Subset { size, chosen: ranked.collect() }
    }

    fn has(&self, rank: u64, name: &str) -> bool {
        let same = self.chosen.range((rank, Arc::default())..).take_while(|it| it.0 == rank);
        same.into_iter().any(|(_, chosen)| **chosen == *name)
    }

    /// Whether what became of an endpoint changes the choice: a chosen one is gone, or one has come that goes before the
    /// last of them.
    fn is_touched(&self, client: u64, name: &str, names: &Endpoints) -> bool {
        let rank = rank(client, name);
        let is_chosen = self.has(rank, name);
        match names.contains_key(name) {
            true => {
                !is_chosen
                    && self.chosen.last().is_none_or(|last| (rank, name) < (last.0, &*last.1))
            }
            false => is_chosen,
        }
    }

    /// Chooses anew, and answers with what differs.
    fn choose_again(&mut self, client: u64, names: &Endpoints) -> Vec<Arc<str>> {
        let next = Subset::choose(client, names, self.size);
        let differing = self.chosen.symmetric_difference(&next.chosen);
        let differing = differing.map(|(_, name)| name.clone()).collect();
        *self = next;
        differing
    }

    fn names(&self) -> impl Iterator<Item = Arc<str>> {
        self.chosen.iter().map(|(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests;
