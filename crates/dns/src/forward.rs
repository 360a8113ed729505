//! Questions that are not the mesh's: they are put to the machine's own resolvers.

mod exchange;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::serialize::binary::BinEncodable;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::ForwardError;
use crate::message::{Edns, HEADER, SAFE_UDP};
use crate::resolv_conf::Watched;

/// How long the list of resolvers is good without a look at the file.
const RESOLV_CONF_INTERVAL: Duration = Duration::from_secs(1);

/// Who is asked what the mesh does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstreams {
    /// The resolvers that a file in the form of `/etc/resolv.conf` names. It is read again when it has changed.
    ResolvConf(PathBuf),
    /// These, in order.
    Fixed(Vec<SocketAddr>),
}

impl Default for Upstreams {
    /// Those of this machine.
    fn default() -> Self {
        Upstreams::ResolvConf("/etc/resolv.conf".into())
    }
}

/// How long and for how much forwarding waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the answer of one resolver. Less where `total` would not leave time for the others.
    pub per_resolver: Duration,
    /// For an answer of any. Less than the 5 s after which clients give up.
    pub total: Duration,
    /// How many questions may wait at once.
    pub in_flight: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            per_resolver: Duration::from_secs(2),
            total: Duration::from_secs(4),
            in_flight: 512,
        }
    }
}

/// The way to other name servers.
#[derive(Debug)]
pub(crate) struct Forwarder {
    source: Source,
    /// The addresses that this server itself listens on.
    own: Vec<SocketAddr>,
    patience: Patience,
    permits: Semaphore,
    /// The place in the list of the resolver that answered last; it is asked first, so that one that is down costs its
    /// time-out once, not for every question.
    preferred: AtomicUsize,
}

#[derive(Debug)]
enum Source {
    Fixed(Vec<SocketAddr>),
    ResolvConf(Watched),
}

/// What a question takes along from the client's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// The RD bit.
    pub(crate) recursion_desired: bool,
    /// The CD bit.
    pub(crate) checking_disabled: bool,
    /// Whether the client speaks EDNS: only then the reply may hold an OPT record.
    pub(crate) edns: Option<Edns>,
}

/// A question as it goes over the wire.
pub(crate) struct Outgoing {
    /// The identifier that a reply has to bear.
    pub(crate) id: u16,
    /// The question that a reply has to repeat.
    pub(crate) query: Query,
    /// Where the question ends in the message.
    pub(crate) question_end: usize,
    /// The whole message.
    pub(crate) bytes: Vec<u8>,
}

impl Forwarder {
    /// `own` are the addresses of the server that forwards: it never asks itself.
    pub(crate) fn new(upstreams: Upstreams, own: Vec<SocketAddr>, patience: Patience) -> Self {
        let source = match upstreams {
            Upstreams::Fixed(resolvers) => Source::Fixed(resolvers),
            Upstreams::ResolvConf(path) => {
                Source::ResolvConf(Watched::new(path, RESOLV_CONF_INTERVAL))
            }
        };
        let permits = Semaphore::new(patience.in_flight);
        Forwarder { source, own, patience, permits, preferred: AtomicUsize::new(0) }
    }

    /// The search domains of this machine.
    pub(crate) fn with_search<T>(&self, then: impl FnOnce(&[String]) -> T) -> T {
        match &self.source {
            Source::Fixed(_) => then(&[]),
            Source::ResolvConf(watched) => then(&watched.current().search),
        }
    }

    /// Whom to ask, in the order of the list.
    fn resolvers(&self) -> Vec<SocketAddr> {
        let listed = match &self.source {
            Source::Fixed(resolvers) => resolvers.clone(),
            Source::ResolvConf(watched) => watched.current().nameservers.clone(),
        };
        listed.into_iter().filter(|resolver| !self.is_own(*resolver)).collect()
    }

    fn is_own(&self, resolver: SocketAddr) -> bool {
        let is_same = |own: &SocketAddr| {
            own.port() == resolver.port()
                && (own.ip() == resolver.ip()
                    || own.ip().is_unspecified() && is_of_this_machine(resolver.ip()))
        };
        self.own.iter().any(is_same)
    }

    /// The reply of the first resolver that gives a useful one, its identifier still that of our question.
    pub(crate) async fn forward(
        &self,
        query: Query,
        manner: Manner,
    ) -> Result<Vec<u8>, ForwardError> {
        let _permit = self
            .permits
            .try_acquire()
            .map_err(|_| ForwardError::Busy { limit: self.patience.in_flight })?;
        let outgoing = Outgoing::new(query, manner)?;
        let resolvers = self.resolvers();
        if resolvers.is_empty() {
            return Err(ForwardError::NoResolver { from: self.listed_in() });
        }
        self.ask_in_turn(&resolvers, &outgoing).await
    }

    async fn ask_in_turn(
        &self,
        resolvers: &[SocketAddr],
        outgoing: &Outgoing,
    ) -> Result<Vec<u8>, ForwardError> {
        let count = resolvers.len();
        let share = self.patience.total / u32::try_from(count).unwrap_or(u32::MAX);
        let patience = self.patience.per_resolver.min(share);
        let first = self.preferred.load(Ordering::Relaxed) % count;
        let mut last_reply = None;
        let mut last = String::new();
        for place in (first..count).chain(0..first) {
            let resolver = resolvers[place];
            let deadline = Instant::now() + patience;
            match timeout_at(deadline, exchange::ask(resolver, outgoing)).await {
                Ok(Ok(reply)) if is_useful(&reply) => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return Ok(reply);
                }
                Ok(Ok(reply)) => {
                    last = format!("{resolver} refused or failed");
                    last_reply = Some(reply);
                }
                Ok(Err(error)) => last = format!("{resolver}: {error}"),
                Err(_) => last = format!("{resolver} was silent for {patience:?}"),
            }
            tracing::debug!(name = %outgoing.query.name(), %last, "a resolver was of no use");
        }
        last_reply.ok_or(ForwardError::Unanswered { asked: count, last })
    }

    fn listed_in(&self) -> String {
        match &self.source {
            Source::Fixed(_) => "the configuration".into(),
            Source::ResolvConf(watched) => watched.path().display().to_string(),
        }
    }
}

impl Outgoing {
    fn new(query: Query, manner: Manner) -> Result<Outgoing, ForwardError> {
        // Its identifier is random.
        let mut message = Message::query();
        message.metadata.recursion_desired = manner.recursion_desired;
        message.metadata.checking_disabled = manner.checking_disabled;
        message.add_query(query.clone());
        if let Some(edns) = manner.edns {
            let payload = edns.payload.min(SAFE_UDP);
            message.set_edns(Edns { payload, ..edns }.to_opt());
        }
        let question_end = HEADER + query.to_bytes()?.len();
        let bytes = message.to_vec()?;
        Ok(Outgoing { id: message.metadata.id, query, question_end, bytes })
    }
}

/// Whether another resolver could not say more: SERVFAIL, NOTIMP, REFUSED and FORMERR are about the resolver, not
/// about the name.
fn is_useful(reply: &[u8]) -> bool {
    let code = reply.get(3).map_or(0, |flags| flags & 0x0f);
    !matches!(code, 1 | 2 | 4 | 5)
}

/// An address can be bound if, and only if, it is one of this machine's.
fn is_of_this_machine(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}
