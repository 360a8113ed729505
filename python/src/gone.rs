//! Callers that go before their answer is whole: an application that waits is told, and what it asks others meanwhile ends,
//! so that nobody works for nobody.

use std::pin::pin;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How far an exchange is.
enum Stage {
    /// The caller waits; who is to be told if it goes.
    Waiting(Option<Py<PyAny>>),
    /// The answer was given, whole.
    Over,
    /// The caller went before that.
    Gone,
}

/// An exchange, as both ends see it.
struct Exchange {
    stage: Mutex<Stage>,
    /// Tells the calls that wait when the caller has gone.
    left: Notify,
}

/// The application's end: what it wants to have called.
#[derive(Clone)]
pub(crate) struct OnGone(Arc<Exchange>);

/// The caller's end: dropped before the answer is whole, it tells.
pub(crate) struct Present {
    exchange: Arc<Exchange>,
    runtime: Handle,
}

impl OnGone {
    /// Both ends, on the current runtime.
    pub(crate) fn new() -> (OnGone, Present) {
        let exchange =
            Arc::new(Exchange { stage: Mutex::new(Stage::Waiting(None)), left: Notify::new() });
        (OnGone(exchange.clone()), Present { exchange, runtime: Handle::current() })
    }

    /// Has something called; it comes back if the caller is gone already.
    pub(crate) fn call(&self, callback: Py<PyAny>) -> Option<Py<PyAny>> {
        let mut stage = self.0.stage.lock();
        match &mut *stage {
            Stage::Waiting(waiting) => {
                *waiting = Some(callback);
                None
            }
            Stage::Over => None,
            Stage::Gone => Some(callback),
        }
    }

    /// Whether the caller has gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(*self.0.stage.lock(), Stage::Gone)
    }

    /// Waits until the caller has gone; for ever where it gets its answer.
    pub(crate) async fn gone(&self) {
        let mut left = pin!(self.0.left.notified());
        // Before the look, so that what happens between the two is not missed.
        left.as_mut().enable();
        if !self.is_gone() {
            left.await;
        }
    }

    /// The answer is whole: nobody is to be told.
    pub(crate) fn is_over(&self) {
        over(&self.0.stage);
    }
}

impl Present {
    /// As [`OnGone::is_over`].
    pub(crate) fn is_over(&self) {
        over(&self.exchange.stage);
    }

    /// Whether the answer came to its end.
    pub(crate) fn was_whole(&self) -> bool {
        matches!(*self.exchange.stage.lock(), Stage::Over)
    }
}

fn over(stage: &Mutex<Stage>) {
    let before = {
        let mut stage = stage.lock();
        match *stage {
            Stage::Waiting(_) => std::mem::replace(&mut *stage, Stage::Over),
            Stage::Over | Stage::Gone => return,
        }
    };
    // What Python made is dropped outside of the lock.
    drop(before);
}

impl Drop for Present {
    fn drop(&mut self) {
        let callback = {
            let mut stage = self.exchange.stage.lock();
            match std::mem::replace(&mut *stage, Stage::Gone) {
                Stage::Waiting(callback) => callback,
                Stage::Over => {
                    *stage = Stage::Over;
                    return;
                }
                Stage::Gone => None,
            }
        };
        self.exchange.left.notify_waiters();
        let Some(callback) = callback else { return };
        // Not here: a thread of the runtime is not to wait for the interpreter while a connection is being dropped.
        self.runtime.spawn_blocking(move || {
            Python::try_attach(|py| {
                if let Err(error) = callback.call0(py) {
                    error.print(py);
                }
            });
        });
    }
}
