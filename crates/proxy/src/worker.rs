//! One thread of the data path: its own runtime, pools and figures, so that requests share no lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use meltemi_policy::jwt::Memory;
use meltemi_policy::retry::RetryPolicy;
use tokio::sync::Notify;

use crate::finish::series::SeriesCache;
use crate::http::head::ResponseHead;
use crate::inbound::authorize::Decisions;
use crate::inbound::standing::Standing;
use crate::outbound::decide::Spot;
use crate::outbound::probe::Probes;
use crate::reporting::Reporting;
use crate::shared::Shared;
use crate::upstream::pool::Pool;

/// Heads that a worker keeps for the next request.
const KEPT_HEADS: usize = 64;
/// Copies of requests that a worker has under way at most.
const COPIES: usize = 1024;
/// Tokens of which a worker remembers, in each of two turns, that they are verified: about a kilobyte each.
const TOKENS: usize = 512;
/// Authorities of which a worker remembers what they stand for.
const REMEMBERED: usize = 4096;

/// What one worker holds. Lives on its thread only.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    /// The index of this worker, the shard in which it counts.
    pub(crate) index: usize,
    pub(crate) pool: Pool,
    pub(crate) series: RefCell<SeriesCache>,
    /// What we say about ourselves at the beginning of a connection to another proxy.
    pub(crate) preface: Box<[u8]>,
    /// Our own listeners: a request that leads to one of them would go round in a circle.
    own: Arc<[SocketAddr]>,
    /// Whether the workload is out of the registry.
    draining: Cell<bool>,
    drain: Notify,
    load: Arc<Load>,
    /// What the workload says of its load.
    pub(crate) report: Reporting,
    /// What holds where no rule says another.
    pub(crate) retry: RetryPolicy,
    remembered: RefCell<Remembered>,
    /// Tokens that were verified for our workload.
    pub(crate) tokens: RefCell<Memory>,
    /// What authorization policies decided.
    pub(crate) decisions: Decisions,
    /// What became of questions for the load.
    pub(crate) probes: Probes,
    /// Inbound connections of bytes.
    pub(crate) standing: Standing,
    heads: RefCell<Vec<ResponseHead>>,
    dice: Cell<u64>,
    /// Copies of requests under way.
    copies: Rc<Cell<usize>>,
}

/// What a worker has in hand, for those who give it work or wait for its end.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Connections that came in, of every listener.
    pub(crate) connections: AtomicU64,
    /// Those of the inbound listener.
    pub(crate) inbound: AtomicU64,
    /// Requests and TCP connections being carried.
    pub(crate) in_flight: AtomicU64,
    /// Told when an inbound connection ends, and, while the worker drains, when anything does.
    pub(crate) less: Notify,
}

impl Load {
    /// A connection was given to the worker.
    pub(crate) fn enter(&self, is_inbound: bool) {
        self.connections.fetch_add(1, Relaxed);
        self.inbound.fetch_add(is_inbound.into(), Relaxed);
    }

    /// Whether an inbound connection is left.
    pub(crate) fn is_reached(&self) -> bool {
        self.inbound.load(Relaxed) > 0
    }

    /// Whether a request or TCP connection is being carried, whoever called.
    pub(crate) fn is_carrying(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    /// It has ended.
    pub(crate) fn leave(&self, is_inbound: bool) {
        self.connections.fetch_sub(1, Relaxed);
        if is_inbound {
            self.inbound.fetch_sub(1, Relaxed);
            self.less.notify_one();
        }
    }
}

/// Ports of services by the authority that requests name, valid for one generation of the configuration.
#[derive(Default)]
struct Remembered {
    generation: u64,
    spots: HashMap<Rc<[u8]>, Rc<Spot>>,
    /// The one that was asked for last: an application calls one service many times.
    last: Option<(Rc<[u8]>, Rc<Spot>)>,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        load: Arc<Load>,
        report: Reporting,
        own: Arc<[SocketAddr]>,
    ) -> Rc<Worker> {
        let preface = crate::listen::tls::preface(&shared.local);
        let decisions = Decisions::new(shared.metrics.registry());
        let probes = Probes::new(shared.metrics.registry());
        Rc::new(Worker {
            shared,
            index,
            pool: Pool::default(),
            series: RefCell::default(),
            preface,
            own,
            draining: Cell::new(false),
            drain: Notify::new(),
            load,
            report,
            retry: RetryPolicy::default(),
            remembered: RefCell::default(),
            tokens: RefCell::new(Memory::new(TOKENS)),
            decisions,
            probes,
            standing: Standing::default(),
            heads: RefCell::default(),
            dice: Cell::new(rand::random()),
            copies: Rc::default(),
        })
    }

    /// Whether an address leads back to this proxy.
    pub(crate) fn is_own(&self, address: SocketAddr) -> bool {
        let is_same = |own: &SocketAddr| {
            let reaches_all = own.ip().is_unspecified() || address.ip().is_unspecified();
            own.port() == address.port() && (own.ip() == address.ip() || reaches_all)
        };
        self.own.iter().any(is_same)
    }

    /// From now on answers tell callers to go elsewhere, and idle connections are closed.
    pub(crate) fn start_draining(&self) {
        self.draining.set(true);
        self.drain.notify_waiters();
        // Nobody was told of what ended until now.
        self.load.less.notify_one();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Ends when draining starts; create it before looking at [`Worker::is_draining`].
    pub(crate) fn drained(&self) -> tokio::sync::futures::Notified<'_> {
        self.drain.notified()
    }

    /// Counts a request or TCP connection while the guard lives.
    pub(crate) fn carry(&self) -> Carried<'_> {
        // Written by this worker only: no other core's cache line is taken away.
        self.load.in_flight.fetch_add(1, Relaxed);
        Carried(self)
    }

    /// An empty head with memory of an earlier one.
    pub(crate) fn lend_head(&self) -> ResponseHead {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a head back.
    pub(crate) fn take_back(&self, mut head: ResponseHead) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < KEPT_HEADS {
            head.clear();
            head.fields.rest();
            heads.push(head);
        }
    }

    /// What an authority stood for, if the configuration has not changed since.
    pub(crate) fn recall(&self, authority: &[u8]) -> Option<Rc<Spot>> {
        let generation = self.shared.mesh.current().generation;
        let mut remembered = self.remembered.borrow_mut();
        if remembered.generation != generation {
            remembered.generation = generation;
            remembered.spots.clear();
            remembered.last = None;
            return None;
        }
        if let Some((last, spot)) = &remembered.last
            && **last == *authority
        {
            return Some(spot.clone());
        }
        let (name, spot) = remembered.spots.get_key_value(authority)?;
        let (name, spot) = (name.clone(), spot.clone());
        remembered.last = Some((name, spot.clone()));
        Some(spot)
    }

    /// Notes what [`Worker::recall`] gives; `generation` is that of the snapshot in which it was found.
    pub(crate) fn remember(&self, generation: u64, authority: &[u8], spot: &Rc<Spot>) {
        let mut remembered = self.remembered.borrow_mut();
        if remembered.generation != generation {
            return;
        }
        if remembered.spots.len() >= REMEMBERED {
            remembered.spots.clear();
        }
        remembered.spots.insert(authority.into(), spot.clone());
    }

    /// Leave to send a copy of a request (mirror), to be held meanwhile.
    pub(crate) fn copy(&self) -> Option<Copying> {
        let copies = self.copies.get();
        (copies < COPIES).then(|| {
            self.copies.set(copies + 1);
            Copying(self.copies.clone())
        })
    }

    /// A random number, evenly spread over all 64 bits, for choices that nobody gains by guessing (Vigna's splitmix64).
    pub(crate) fn random(&self) -> u64 {
        let state = self.dice.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.dice.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A copy of a request that is under way, until it is dropped.
pub(crate) struct Copying(Rc<Cell<usize>>);

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// A request that is being carried, until it is dropped.
pub(crate) struct Carried<'a>(&'a Worker);

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        self.0.load.in_flight.fetch_sub(1, Relaxed);
        if self.0.is_draining() {
            self.0.load.less.notify_one();
        }
    }
}
