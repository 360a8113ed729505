//! The server's end of the delta stream: what one client has subscribed to, what it was sent, and what it has
//! acknowledged. No I/O, no clock; what resources there are is asked of a [`Source`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::delta::{glob_of, glob_prefix};
use crate::xds::{Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};

/// How many subscriptions one client may hold of one type.
pub const MAX_SUBSCRIPTIONS: usize = 65_536;

/// A resource as it is kept for all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its version.
    pub version: &'a str,
    /// The encoded message.
    pub body: &'a [u8],
}

/// The resources as one client may see them, all of one moment.
pub trait Source {
    /// The resource that a name stands for.
    fn find(&self, type_url: &str, name: &str) -> Option<Found<'_>>;

    /// Calls `each` with the name of every member of the glob `PREFIX/*`.
    fn members(&self, type_url: &str, prefix: &str, each: &mut dyn FnMut(&str));
}

/// What a client's request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The type that it is about.
    pub type_url: String,
    /// The subscriptions that have to be answered now.
    names: Vec<String>,
    /// Whether the client told what it holds: then only differences are sent.
    resumed: bool,
    /// What the client said of the response that it refused.
    pub refused: Option<String>,
    /// Names that were dropped because there were too many.
    pub over_limit: usize,
}

impl Asked {
    /// Whether the client waits for an answer.
    pub fn is_question(&self) -> bool {
        self.resumed || !self.names.is_empty()
    }

    /// How many subscriptions are asked for.
    pub fn subscriptions(&self) -> usize {
        self.names.len()
    }
}

/// One client's stream.
#[derive(Debug, Default)]
pub struct Session {
    types: BTreeMap<String, Type>,
    next_nonce: u64,
}

#[derive(Debug, Default)]
struct Type {
    subscribed: BTreeSet<String>,
    /// What the client holds once it has taken in everything that was sent: name to version.
    sent: HashMap<String, String>,
    /// Responses not yet answered, oldest first, with the names that each removes.
    outstanding: VecDeque<(String, Vec<String>)>,
    /// What is no longer subscribed to although a response was outstanding: name to the nonce of the last of these. A
    /// client that has subscribed anew before that response reaches it takes what it adds for news.
    forgotten: BTreeMap<String, String>,
}

impl Session {
    /// A stream on which nothing was said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a request in.
    pub fn request(&mut self, request: DeltaDiscoveryRequest) -> Asked {
        let is_first = !self.types.contains_key(&request.type_url);
        let state = self.types.entry(request.type_url.clone()).or_default();
        for name in &request.resource_names_unsubscribe {
            state.unsubscribe(name);
        }
        let mut names = request.resource_names_subscribe;
        let room = MAX_SUBSCRIPTIONS.saturating_sub(state.subscribed.len());
        let over_limit = names.len().saturating_sub(room);
        names.truncate(room);
        state.subscribed.extend(names.iter().cloned());
        if is_first {
            let held = request.initial_resource_versions.into_iter();
            let held = held.filter(|(name, _)| state.covers(name)).collect();
            state.sent = held;
        }
        if !request.response_nonce.is_empty() {
            state.answered(&request.response_nonce);
        }
        let refused = request.error_detail.map(|detail| detail.message);
        Asked { type_url: request.type_url, names, resumed: is_first, refused, over_limit }
    }

    /// Answers a question: every resource asked for, or for a resumed stream what differs from what the client holds.
    /// Names without a resource, and globs without members, are answered as removed. `None` if nothing was asked.
    pub fn answer(&mut self, asked: &Asked, source: &dyn Source) -> Option<DeltaDiscoveryResponse> {
        if !asked.is_question() {
            return None;
        }
        let type_url = &asked.type_url;
        let state = self.types.get_mut(type_url)?;
        let mut response = Response::new(type_url);
        let known = |name: &str, state: &Type| asked.resumed && state.sent.contains_key(name);
        for name in &asked.names {
            let Some(prefix) = glob_prefix(name) else {
                match known(name, state) {
                    true => response.compare(name, state, source),
                    false => response.put(name, state, source),
                }
                continue;
            };
            let mut members = BTreeSet::new();
            source.members(type_url, prefix, &mut |member| {
                members.insert(member.to_owned());
            });
            let gone: BTreeSet<String> = state
                .may_hold()
                .filter(|held| glob_of(held).as_deref() == Some(name) && !members.contains(*held))
                .cloned()
                .collect();
            for member in members.iter().chain(&gone) {
                match known(member, state) {
                    true => response.compare(member, state, source),
                    false => response.put(member, state, source),
                }
            }
            if members.is_empty() {
                response.removed.push(name.clone());
            }
        }
        Some(self.number(response))
    }

    /// Tells what differs now in the resources named, as far as they are subscribed to.
    pub fn changed<'a>(
        &mut self,
        type_url: &str,
        names: impl IntoIterator<Item = &'a str>,
        source: &dyn Source,
    ) -> Option<DeltaDiscoveryResponse> {
        let state = self.types.get_mut(type_url)?;
        let mut response = Response::new(type_url);
        for name in names {
            if state.covers(name) {
                response.compare(name, state, source);
            }
        }
        response.is_something().then(|| self.number(response))
    }

    /// Tells what differs now in everything of this type that is subscribed to: after a gap in what is known of changes,
    /// or when the client's rights have changed.
    pub fn changed_all(
        &mut self,
        type_url: &str,
        source: &dyn Source,
    ) -> Option<DeltaDiscoveryResponse> {
        let state = self.types.get(type_url)?;
        let mut names: BTreeSet<String> = state.sent.keys().cloned().collect();
        for name in &state.subscribed {
            match glob_prefix(name) {
                None => {
                    names.insert(name.clone());
                }
                Some(prefix) => source.members(type_url, prefix, &mut |member| {
                    names.insert(member.to_owned());
                }),
            }
        }
        self.changed(type_url, names.iter().map(String::as_str), source)
    }

    /// The names of this type subscribed to, globs as they are.
    pub fn subscribed(&self, type_url: &str) -> impl Iterator<Item = &str> {
        self.types.get(type_url).into_iter().flat_map(|state| &state.subscribed).map(String::as_str)
    }

    /// The types that the client has spoken of.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Whether a resource's name is subscribed to, by itself or by a glob.
    pub fn is_subscribed(&self, type_url: &str, name: &str) -> bool {
        self.types.get(type_url).is_some_and(|state| state.covers(name))
    }

    /// Whether the client may still use a resource: it was sent, and its removal has not been acknowledged.
    pub fn may_use(&self, type_url: &str, name: &str) -> bool {
        self.types.get(type_url).is_some_and(|state| {
            state.sent.contains_key(name)
                || state.outstanding.iter().any(|(_, removed)| removed.iter().any(|it| it == name))
        })
    }

    /// The version of a resource that the client has and has acknowledged; `None` while an answer is outstanding.
    pub fn acknowledged(&self, type_url: &str, name: &str) -> Option<&str> {
        let state = self.types.get(type_url)?;
        let is_settled = state.outstanding.is_empty();
        state.sent.get(name).filter(|_| is_settled).map(String::as_str)
    }

    /// How many responses wait for their answer.
    pub fn outstanding(&self) -> usize {
        self.types.values().map(|state| state.outstanding.len()).sum()
    }

    fn number(&mut self, response: Response) -> DeltaDiscoveryResponse {
        self.next_nonce += 1;
        let nonce = self.next_nonce.to_string();
        if let Some(state) = self.types.get_mut(&response.type_url) {
            state.outstanding.push_back((nonce.clone(), response.removed.clone()));
        }
        DeltaDiscoveryResponse {
            type_url: response.type_url,
            resources: response.resources,
            removed_resources: response.removed,
            nonce,
            ..DeltaDiscoveryResponse::default()
        }
    }
}

impl Type {
    fn covers(&self, name: &str) -> bool {
        self.subscribed.contains(name)
            || glob_of(name).is_some_and(|glob| self.subscribed.contains(&glob))
    }

    fn unsubscribe(&mut self, name: &str) {
        if !self.subscribed.remove(name) {
            return;
        }
        let mut sent = std::mem::take(&mut self.sent);
        let mut forgotten = Vec::new();
        match glob_prefix(name) {
            None if self.covers(name) => {}
            None => forgotten.extend(sent.remove_entry(name).map(|(name, _)| name)),
            Some(_) => {
                let ended = sent.extract_if(|held, _| !self.covers(held));
                forgotten.extend(ended.map(|(name, _)| name));
            }
        }
        self.sent = sent;
        if let Some((last, _)) = self.outstanding.back() {
            self.forgotten.extend(forgotten.into_iter().map(|name| (name, last.clone())));
        }
    }

    /// Every resource that the client holds, or may come to hold from responses still on their way.
    fn may_hold(&self) -> impl Iterator<Item = &String> {
        self.sent.keys().chain(self.forgotten.keys())
    }

    /// A client answers in order, so an answer settles all responses before it. An answer to a response that is not
    /// outstanding is old news.
    fn answered(&mut self, nonce: &str) {
        if let Some(at) = self.outstanding.iter().position(|(sent, _)| sent == nonce) {
            self.outstanding.drain(..=at);
            let outstanding = &self.outstanding;
            self.forgotten.retain(|_, last| outstanding.iter().any(|(nonce, _)| nonce == last));
        }
    }
}

/// A response while it is put together.
struct Response {
    type_url: String,
    resources: Vec<Resource>,
    removed: Vec<String>,
}

impl Response {
    fn new(type_url: &str) -> Self {
        Response { type_url: type_url.into(), resources: Vec::new(), removed: Vec::new() }
    }

    fn is_something(&self) -> bool {
        !self.resources.is_empty() || !self.removed.is_empty()
    }

    /// Adds what the name stands for now.
    fn put(&mut self, name: &str, state: &mut Type, source: &dyn Source) {
        let Some(found) = source.find(&self.type_url, name) else {
            state.sent.remove(name);
            self.removed.push(name.into());
            return;
        };
        state.sent.insert(name.into(), found.version.into());
        self.resources.push(Resource {
            name: name.into(),
            version: found.version.into(),
            resource: Some(Any { type_url: self.type_url.clone(), value: found.body.to_vec() }),
            ..Resource::default()
        });
    }

    /// Adds what the name stands for now if the client holds anything else.
    fn compare(&mut self, name: &str, state: &mut Type, source: &dyn Source) {
        let now = source.find(&self.type_url, name).map(|found| found.version);
        if now != state.sent.get(name).map(String::as_str) {
            self.put(name, state, source);
        }
    }
}

#[cfg(test)]
mod tests;
