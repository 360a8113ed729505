//! The client's end of the delta stream: subscriptions, versions held, and what to answer. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::delta::{glob_of, glob_prefix};
use crate::xds::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, ErrorDetail, Node};

/// gRPC's code for what a client cannot accept.
const INVALID_ARGUMENT: i32 = 3;
/// The longest explanation that is sent back with a refusal, bytes.
const MAX_EXPLANATION: usize = 4096;

/// One resource as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its name.
    pub name: String,
    /// Its version, opaque.
    pub version: String,
    /// The message, encoded; its type is the update's.
    pub body: Vec<u8>,
}

/// What changed, as the subscriber is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// The type of all its resources; see [`crate::type_url`].
    pub type_url: String,
    /// New resources, and new versions of known ones.
    pub added: Vec<Added>,
    /// Resources that are not, or no longer, there. A glob (`PREFIX/*`) here says that it has no members.
    pub removed: Vec<String>,
}

/// A resource that the subscriber could not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// An update that waits for [`Client::acknowledge`].
#[derive(Debug)]
pub struct Received {
    /// What the subscriber is to be told.
    pub update: Update,
    nonce: String,
}

/// The state of one client. It outlives streams.
#[derive(Debug)]
pub struct Client {
    node: Node,
    types: BTreeMap<String, Type>,
    connected: bool,
    introduced: bool,
}

#[derive(Debug, Default)]
struct Type {
    subscribed: BTreeSet<String>,
    versions: BTreeMap<String, String>,
    /// What this stream has not been told yet: true to subscribe, false to unsubscribe.
    pending: BTreeMap<String, bool>,
    /// Whether this stream has been told of this type at all.
    introduced: bool,
}

impl Client {
    /// A client that has subscribed to nothing.
    pub fn new(node: Node) -> Self {
        Client { node, types: BTreeMap::new(), connected: false, introduced: false }
    }

    /// Notes a subscription; [`Client::outgoing`] sends it. A name that is subscribed to already is asked for anew only
    /// if it was unsubscribed from in between. Returns whether there is something to send.
    pub fn subscribe(&mut self, type_url: &str, name: &str) -> bool {
        let state = self.types.entry(type_url.into()).or_default();
        if !state.subscribed.insert(name.into()) {
            return false;
        }
        state.pending.insert(name.into(), true);
        true
    }

    /// Ends a subscription and forgets the versions held under it. Returns whether there is something to send.
    pub fn unsubscribe(&mut self, type_url: &str, name: &str) -> bool {
        let Some(state) = self.types.get_mut(type_url) else { return false };
        if !state.subscribed.remove(name) {
            return false;
        }
        state.pending.insert(name.into(), false);
        state.forget_uncovered();
        true
    }

    /// Notes a version that the subscriber holds from before (its cache on disk), so that an unchanged resource is not
    /// sent again. The resource's subscription must have been made.
    pub fn hold(&mut self, type_url: &str, name: &str, version: &str) {
        if let Some(state) = self.types.get_mut(type_url).filter(|state| state.covers(name)) {
            state.versions.insert(name.into(), version.into());
        }
    }

    /// Whether a resource's name is subscribed to, by itself or by a glob.
    pub fn is_subscribed(&self, type_url: &str, name: &str) -> bool {
        self.types.get(type_url).is_some_and(|state| state.covers(name))
    }

    /// A stream stands: the requests to begin it with, every subscription with the versions held.
    pub fn connected(&mut self) -> Vec<DeltaDiscoveryRequest> {
        self.connected = true;
        self.introduced = false;
        for state in self.types.values_mut() {
            state.introduced = false;
        }
        self.outgoing()
    }

    /// The stream is gone. Everything is kept for the next one.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// What this stream has to be told since the last call; empty while there is none.
    pub fn outgoing(&mut self) -> Vec<DeltaDiscoveryRequest> {
        if !self.connected {
            return Vec::new();
        }
        let mut requests: Vec<_> = self
            .types
            .iter_mut()
            .filter_map(|(type_url, state)| state.outgoing(type_url))
            .collect();
        if let Some(first) = requests.first_mut().filter(|_| !self.introduced) {
            first.node = Some(self.node.clone());
            self.introduced = true;
        }
        requests
    }

    /// Takes a response in. What is not, or no longer, subscribed to is left out of the update.
    pub fn received(&mut self, response: DeltaDiscoveryResponse) -> Received {
        let DeltaDiscoveryResponse { type_url, resources, mut removed_resources, nonce, .. } =
            response;
        let mut added = Vec::new();
        match self.types.get_mut(&type_url) {
            None => removed_resources.clear(),
            Some(state) => {
                added.extend(resources.into_iter().filter(|it| state.covers(&it.name)).map(|it| {
                    let body = it.resource.map(|any| any.value).unwrap_or_default();
                    Added { name: it.name, version: it.version, body }
                }));
                removed_resources.retain(|name| state.covers(name));
                removed_resources.iter().for_each(|name| state.remove(name));
            }
        }
        Received { update: Update { type_url, added, removed: removed_resources }, nonce }
    }

    /// Answers a response: takes over the versions of what was accepted, and says what was refused and why. Of a refused
    /// resource the version held before stays. `added` names the update's resources with their versions.
    pub fn acknowledge(
        &mut self,
        type_url: &str,
        nonce: &str,
        added: impl IntoIterator<Item = (String, String)>,
        refused: &[Refused],
    ) -> DeltaDiscoveryRequest {
        if let Some(state) = self.types.get_mut(type_url) {
            for (name, version) in added {
                // The subscriber may have unsubscribed while it took the update in.
                if state.covers(&name) && !refused.iter().any(|it| it.name == name) {
                    state.versions.insert(name, version);
                }
            }
        }
        DeltaDiscoveryRequest {
            type_url: type_url.into(),
            response_nonce: nonce.into(),
            error_detail: explanation(refused),
            ..DeltaDiscoveryRequest::default()
        }
    }

    /// [`Client::received`] and [`Client::acknowledge`] in one, for a subscriber that needs no lock: tells it the update
    /// and makes the answer of what it refuses.
    pub fn exchange(
        &mut self,
        response: DeltaDiscoveryResponse,
        accept: impl FnOnce(Update) -> Vec<Refused>,
    ) -> DeltaDiscoveryRequest {
        let (update, receipt) = self.received(response).split();
        let refused = accept(update);
        self.acknowledge(&receipt.type_url, &receipt.nonce, receipt.added, &refused)
    }
}

/// What is needed to acknowledge an update after it was given away.
#[derive(Debug)]
pub struct Receipt {
    /// The update's type.
    pub type_url: String,
    /// The response's nonce.
    pub nonce: String,
    /// Names and versions of the resources in it.
    pub added: Vec<(String, String)>,
}

impl Received {
    /// The update to give away, and what to acknowledge it with.
    pub fn split(self) -> (Update, Receipt) {
        let added = self.update.added.iter().map(|it| (it.name.clone(), it.version.clone()));
        let receipt = Receipt {
            type_url: self.update.type_url.clone(),
            nonce: self.nonce,
            added: added.collect(),
        };
        (self.update, receipt)
    }
}

impl Type {
    fn covers(&self, name: &str) -> bool {
        self.subscribed.contains(name)
            || glob_of(name).is_some_and(|glob| self.subscribed.contains(&glob))
    }

    fn remove(&mut self, name: &str) {
        match glob_prefix(name) {
            None => {
                self.versions.remove(name);
            }
            Some(_) => self.versions.retain(|held, _| glob_of(held).as_deref() != Some(name)),
        }
    }

    fn forget_uncovered(&mut self) {
        let mut versions = std::mem::take(&mut self.versions);
        versions.retain(|name, _| self.covers(name));
        self.versions = versions;
    }

    fn outgoing(&mut self, type_url: &str) -> Option<DeltaDiscoveryRequest> {
        let pending = std::mem::take(&mut self.pending);
        let mut request =
            DeltaDiscoveryRequest { type_url: type_url.into(), ..DeltaDiscoveryRequest::default() };
        if self.introduced {
            for (name, wanted) in pending {
                match wanted {
                    true => request.resource_names_subscribe.push(name),
                    false => request.resource_names_unsubscribe.push(name),
                }
            }
            let is_empty = request.resource_names_subscribe.is_empty()
                && request.resource_names_unsubscribe.is_empty();
            return (!is_empty).then_some(request);
        }
        if self.subscribed.is_empty() {
            return None;
        }
        self.introduced = true;
        request.resource_names_subscribe = self.subscribed.iter().cloned().collect();
        request.initial_resource_versions =
            self.versions.iter().map(|(name, version)| (name.clone(), version.clone())).collect();
        Some(request)
    }
}

fn explanation(refused: &[Refused]) -> Option<ErrorDetail> {
    if refused.is_empty() {
        return None;
    }
    let reasons: Vec<String> =
        refused.iter().map(|it| format!("{}: {}", it.name, it.reason)).collect();
    let mut message = reasons.join("; ");
    let end = (0..=MAX_EXPLANATION.min(message.len()))
        .rev()
        .find(|at| message.is_char_boundary(*at))
        .unwrap_or_default();
    message.truncate(end);
    Some(ErrorDetail { code: INVALID_ARGUMENT, message, details: Vec::new() })
}

#[cfg(test)]
mod tests;
