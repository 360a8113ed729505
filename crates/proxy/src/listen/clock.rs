//! A connection's timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// A timer that is moved to a later time without being touched: it looks at the deadline when it fires.
#[derive(Debug)]
pub(super) struct Clock(Option<Pin<Box<Sleep>>>);

impl Clock {
    /// One that is not set.
    pub(super) fn new() -> Clock {
        Clock(None)
    }

    /// Ready once the deadline is over; the next one may be another.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                self.0 = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
