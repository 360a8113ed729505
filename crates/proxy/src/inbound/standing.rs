//! Connections of bytes that stand. Each is looked at again when what it was let in by changes: the policies of our workload, or
//! whom we believe. What carries bytes asks nothing but a flag of its own connection.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::authorize::denial_of_standing;
use super::caller::Caller;
use crate::worker::Worker;

/// Those of one worker.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    all: RefCell<Vec<Rc<Stand>>>,
}

/// One of them.
#[derive(Debug, Default)]
struct Stand {
    /// Its place among all.
    place: Cell<usize>,
    /// Whether something has changed since it was looked at.
    is_due: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Standing {
    /// Has a connection looked at again after each change from now on. To be called before it is judged, so that no change is
    /// missed between the two.
    pub(crate) fn begin(&self) -> Watched<'_> {
        let stand = Rc::<Stand>::default();
        let mut all = self.all.borrow_mut();
        stand.place.set(all.len());
        all.push(stand.clone());
        Watched { all: self, stand }
    }

    /// Has all of them looked at.
    fn look(&self) {
        for stand in self.all.borrow().iter() {
            stand.is_due.set(true);
            if let Some(waker) = stand.waker.take() {
                waker.wake();
            }
        }
    }

    fn end(&self, place: usize) {
        let mut all = self.all.borrow_mut();
        if place < all.len() {
            all.swap_remove(place);
        }
        if let Some(moved) = all.get(place) {
            moved.place.set(place);
        }
    }
}

/// A connection that is looked at again while this lives.
#[derive(Debug)]
pub(crate) struct Watched<'s> {
    all: &'s Standing,
    stand: Rc<Stand>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.all.end(self.stand.place.get());
    }
}

impl Watched<'_> {
    /// Carries on for as long as `is_refused` does not say so after a change; `None` once it does.
    pub(crate) async fn until_refused<T>(
        &self,
        carrying: impl Future<Output = T>,
        is_refused: impl Fn() -> bool,
    ) -> Option<T> {
        let mut carrying = pin!(carrying);
        poll_fn(|context| {
            if self.stand.is_due.take() && is_refused() {
                return Poll::Ready(None);
            }
            let mut waker = self.stand.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
                *waker = Some(context.waker().clone());
            }
            drop(waker);
            carrying.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// Looks at a worker's connections after each change, until the configuration ends.
pub(crate) async fn keep_watch(worker: Rc<Worker>) {
    let mut inbound = worker.shared.mesh.inbound_changes();
    let mut trust = worker.shared.identity.subscribe();
    loop {
        let changed = tokio::select! {
            changed = inbound.changed() => changed,
            changed = trust.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        worker.standing.look();
    }
}

/// Whether a connection that stands would not be let in now. One of a service that is here no more goes on: its callers
/// drain it.
pub(super) fn is_refused(worker: &Worker, caller: &Caller) -> bool {
    let inbound = worker.shared.mesh.current().inbound().clone();
    let port = caller.find(&inbound, b"");
    let why = match port {
        _ if caller.is_revoked(&worker.shared) => Some("its certificate is refused now".to_owned()),
        None => None,
        Some(port) if !caller.may_call(port) => {
            Some("PeerAuthentication wants mutual TLS now".to_owned())
        }
        Some(port) => denial_of_standing(&caller.authorizer, (&inbound, port)),
    };
    if let Some(why) = &why {
        let caller = caller.authorizer.id();
        let caller = caller.as_deref().unwrap_or("none");
        tracing::info!(target: "authorization", why, caller, "a connection of bytes that stood is closed");
    }
    why.is_some()
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Context;

    use super::*;

    #[test]
    fn each_is_woken_and_looked_at_once_a_change() {
        let standing = Standing::default();
        let looked = Cell::new(0);
        let is_refused = || looked.replace(looked.get() + 1) == 1;
        let watched = standing.begin();
        // A change before the first poll counts.
        standing.look();
        let mut carrying = pin!(watched.until_refused(pending::<()>(), is_refused));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(carrying.as_mut().poll(&mut context).is_pending());
            assert_eq!(looked.get(), 1);
        }
        standing.look();
        assert_eq!(carrying.as_mut().poll(&mut context), Poll::Ready(None));
        assert_eq!(looked.get(), 2);
    }

    #[test]
    fn those_that_end_leave_the_others_where_they_are_found() {
        let standing = Standing::default();
        let [a, b, c] = [(); 3].map(|()| standing.begin());
        drop(a);
        drop(c);
        standing.look();
        assert!(b.stand.is_due.get());
        assert_eq!(standing.all.borrow().len(), 1);
        let d = standing.begin();
        drop(b);
        standing.look();
        assert!(d.stand.is_due.get());
        drop(d);
        assert!(standing.all.borrow().is_empty());
    }
}
