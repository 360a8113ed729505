//! Leave to have one more connection to an endpoint (`maxConnections`), and the queue of requests that wait for it or for a
//! connection to become free (`http1MaxPendingRequests`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use meltemi_policy::circuit::{Permit, Resource};
use tokio::sync::{Notify, oneshot};

use super::h1::Connection;
use super::route::{Bounds, Route};
use crate::worker::Worker;

/// There are as many connections, and as many requests that wait for one, as there may be.
#[derive(Debug, thiserror::Error)]
#[error("as many connections and waiting requests as there may be lead to {0}")]
pub(crate) struct Overflow(pub(crate) Arc<str>);

/// One worker's connections to an endpoint, and who waits for them.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Connections with a lease.
    open: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<Box<Connection>>>>,
    /// Told when a connection of HTTP/2 has room again.
    pub(super) room: Notify,
}

impl Queue {
    /// Gives a connection that is free to the one who waits longest; back if nobody does.
    pub(super) fn hand_over(&self, mut free: Box<Connection>) -> Option<Box<Connection>> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.pop_front() {
            match first.send(free) {
                Ok(()) => return None,
                // It went away.
                Err(back) => free = back,
            }
        }
        Some(free)
    }

    /// Whether somebody waits.
    fn is_waited_for(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while waiting.front().is_some_and(oneshot::Sender::is_closed) {
            waiting.pop_front();
        }
        !waiting.is_empty()
    }

    /// Leave for one more connection. As with Envoy a worker that has none to the endpoint always gets it, whatever the
    /// limit says: others' connections are of no use to it.
    fn try_lease(self: &Rc<Self>, bounds: Bounds<'_>) -> Option<Lease> {
        let permit = bounds.circuit.try_acquire(Resource::Connections);
        if permit.is_none() && self.open.get() > 0 {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(Lease { permit, queue: self.clone(), freed: bounds.freed.clone() })
    }
}

/// Leave to have a connection, to be held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    permit: Option<Permit>,
    queue: Rc<Queue>,
    freed: Arc<Notify>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.queue.open.set(self.queue.open.get().saturating_sub(1));
        self.permit = None;
        // All who wait are told: the one who waits longest may be of a worker or an endpoint that this does not help.
        self.freed.notify_waiters();
    }
}

/// Whether one more connection may be opened.
pub(crate) enum Entry<'r> {
    /// It may; nothing has to be held where there is no limit.
    Open(Option<Lease>),
    /// Not before another one ends.
    Full(Full<'r>),
}

/// The limit is reached.
pub(crate) struct Full<'r> {
    bounds: Bounds<'r>,
    queue: Rc<Queue>,
}

/// What a wait brought.
pub(crate) enum Waited {
    /// A connection that has become free.
    Connection(Box<Connection>),
    /// Leave to open another.
    Lease(Lease),
}

/// Asks for leave to open a connection for requests.
pub(crate) fn enter<'r>(worker: &Worker, route: &'r Route) -> Entry<'r> {
    let (Some(bounds), Some(key)) = (limited(route), route.key()) else {
        return Entry::Open(None);
    };
    let queue = worker.pool.queue(key, route);
    // Who comes later waits behind those who wait already.
    let lease = if queue.is_waited_for() { None } else { queue.try_lease(bounds) };
    match lease {
        Some(lease) => Entry::Open(Some(lease)),
        None => Entry::Full(Full { bounds, queue }),
    }
}

/// Whether a request may have to wait for a connection.
pub(crate) fn is_limited(route: &Route) -> bool {
    limited(route).is_some()
}

/// The route's limits, if its connections are limited.
fn limited(route: &Route) -> Option<Bounds<'_>> {
    let bounds = route.bounds()?;
    (bounds.circuit.limit(Resource::Connections) != u32::MAX).then_some(bounds)
}

impl Full<'_> {
    /// Leave to wait, to be held meanwhile.
    pub(crate) fn pend(&self) -> Result<Permit, Overflow> {
        let pending = self.bounds.circuit.try_acquire(Resource::PendingRequests);
        pending.ok_or_else(|| Overflow(self.bounds.name.clone()))
    }

    /// Waits for a connection of HTTP/1.1, or for leave to open one.
    pub(crate) async fn wait(self) -> Result<Waited, Overflow> {
        let _pending = self.pend()?;
        loop {
            let (sender, mut free) = oneshot::channel();
            self.queue.waiting.borrow_mut().push_back(sender);
            loop {
                // Listens before it looks, so that nothing is missed between the two.
                let mut told = pin!(self.bounds.freed.notified());
                told.as_mut().enable();
                if let Some(lease) = self.queue.try_lease(self.bounds) {
                    return Ok(Waited::Lease(lease));
                }
                tokio::select! {
                    biased;
                    freed = &mut free => match freed {
                        Ok(connection) => return Ok(Waited::Connection(connection)),
                        // The queue is gone, and with it the place in it.
                        Err(_) => break,
                    },
                    () = told => {}
                }
            }
        }
    }

    /// Waits until a connection of HTTP/2 may have room, or another may be opened.
    pub(crate) async fn changed(&self) {
        tokio::select! {
            () = self.queue.room.notified() => {}
            () = self.bounds.freed.notified() => {}
        }
    }
}
