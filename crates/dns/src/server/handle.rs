//! From the bytes of a question to the bytes of its reply.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, Record};

use crate::error::ForwardError;
use crate::forward::{Forwarder, Manner};
use crate::message::{self, Read, Reply, Request};
use crate::names::Names;
use crate::zone::{Question, Verdict, Zone};

/// Enough that two busy names seldom share a counter, which would only make their order less even.
const COUNTERS: usize = 1024;

/// What all sockets of a server share.
pub(super) struct Handler {
    zone: Zone,
    names: Arc<dyn Names>,
    forwarder: Forwarder,
    hasher: RandomState,
    /// One for each name and type, by hash: clients ask for A and AAAA in turn, so that one counter for all would
    /// give every second answer to each, and two endpoints would never change places.
    rotations: Box<[AtomicUsize]>,
    /// Whether the last question to others was in vain; so that an outage is one line in the log, not one a question.
    in_vain: AtomicBool,
}

/// What comes after the first look at a question.
pub(super) enum Step {
    /// This is the reply.
    Reply(Vec<u8>),
    /// Others have to be asked, which takes time: [`Handler::finish`].
    Ask(Box<Ask>),
    /// There is no reply.
    Nothing,
}

/// A question to others.
pub(super) struct Ask {
    request: Request,
    limit: usize,
    /// Where the mesh has another name for what was asked: the records that say so, and that name.
    follow: Option<(Vec<Record>, Name)>,
}

impl Handler {
    pub(super) fn new(zone: Zone, names: Arc<dyn Names>, forwarder: Forwarder) -> Self {
        let rotations = (0..COUNTERS).map(|_| AtomicUsize::new(0)).collect();
        let (hasher, in_vain) = (RandomState::new(), AtomicBool::new(false));
        Handler { zone, names, forwarder, hasher, rotations, in_vain }
    }

    /// Answers what can be answered at once. `limit` is the largest reply, given what the client takes over UDP, which
    /// is `None` without EDNS.
    pub(super) fn begin(&self, packet: &[u8], limit: impl Fn(Option<u16>) -> usize) -> Step {
        let request = match message::read(packet) {
            Read::Request(request) => *request,
            Read::Refused(reply) => return Step::Reply(reply),
            Read::Ignored => return Step::Nothing,
        };
        let limit = limit(request.edns.map(|edns| edns.payload));
        let follow = match self.decide(&request.query) {
            Verdict::Answer(reply) => {
                return Step::Reply(message::encode(&request, reply, limit));
            }
            Verdict::Follow { aliases, target } => Some((aliases, target)),
            Verdict::Forward => None,
        };
        Step::Ask(Box::new(Ask { request, limit, follow }))
    }

    fn decide(&self, query: &Query) -> Verdict {
        let counter = self.hasher.hash_one((query.name(), query.query_type())) as usize % COUNTERS;
        let rotation = self.rotations[counter].fetch_add(1, Ordering::Relaxed);
        self.forwarder.with_search(|search| {
            self.zone.answer(&Question { query, names: &*self.names, search, rotation })
        })
    }

    /// Asks others.
    pub(super) async fn finish(&self, ask: Ask) -> Vec<u8> {
        let Ask { request, limit, follow } = ask;
        let manner = Manner {
            recursion_desired: request.metadata.recursion_desired,
            checking_disabled: request.metadata.checking_disabled,
            edns: request.edns,
        };
        let mut query = request.query.clone();
        if let Some((_, target)) = &follow {
            query.set_name(target.clone());
        }
        let forwarded = self.forwarder.forward(query, manner).await;
        self.note(&request, forwarded.as_ref().err());
        let Ok(reply) = forwarded else { return message::server_failure(&request) };
        match follow {
            None => pass_on(&request, reply, limit),
            Some((aliases, _)) => join(&request, aliases, &reply, limit),
        }
    }

    fn note(&self, request: &Request, error: Option<&ForwardError>) {
        let was_in_vain = self.in_vain.swap(error.is_some(), Ordering::Relaxed);
        let name = request.query.name();
        match (was_in_vain, error) {
            (false, Some(error)) => {
                tracing::warn!(%name, %error, "names outside of the mesh are not resolved")
            }
            (true, Some(error)) => tracing::debug!(%name, %error, "a name is not resolved"),
            (true, None) => tracing::info!("names outside of the mesh are resolved again"),
            (false, None) => {}
        }
    }
}

/// The reply of another server as it is, so that types which are not known here come through unharmed.
fn pass_on(request: &Request, mut reply: Vec<u8>, limit: usize) -> Vec<u8> {
    reply[..2].copy_from_slice(&request.metadata.id.to_be_bytes());
    // RA: recursion is to be had here, whoever does it.
    reply[3] |= 0x80;
    if reply.len() <= limit {
        return reply;
    }
    message::cut(&reply, limit).unwrap_or_else(|| message::server_failure(request))
}

/// The reply of another server for the name that is meant, under the name that was asked for.
fn join(request: &Request, mut aliases: Vec<Record>, reply: &[u8], limit: usize) -> Vec<u8> {
    let Ok(mut found) = Message::from_vec(reply) else { return message::server_failure(request) };
    aliases.append(&mut found.answers);
    let reply = Reply {
        code: found.metadata.response_code,
        authoritative: false,
        answers: aliases,
        authorities: found.authorities,
        additionals: Vec::new(),
    };
    message::encode(request, reply, limit)
}

#[cfg(test)]
mod tests;
