//! Callers that go before their answer is whole: an application that waits is told, so that it does not work for nobody.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::runtime::Handle;

/// How far an exchange is.
enum Stage {
    /// The caller waits; who is to be told if it goes.
    Waiting(Option<Py<PyAny>>),
    /// The answer was given, whole.
    Over,
    /// The caller went before that.
    Gone,
}

/// The application's end: what it wants to have called.
pub(crate) struct OnGone(Arc<Mutex<Stage>>);

/// The caller's end: dropped before the answer is whole, it tells.
pub(crate) struct Present {
    stage: Arc<Mutex<Stage>>,
    runtime: Handle,
}

impl OnGone {
    /// Both ends, on the current runtime.
    pub(crate) fn new() -> (OnGone, Present) {
        let stage = Arc::new(Mutex::new(Stage::Waiting(None)));
        (OnGone(stage.clone()), Present { stage, runtime: Handle::current() })
    }

    /// Has something called; it comes back if the caller is gone already.
    pub(crate) fn call(&self, callback: Py<PyAny>) -> Option<Py<PyAny>> {
        let mut stage = self.0.lock();
        match &mut *stage {
            Stage::Waiting(waiting) => {
                *waiting = Some(callback);
                None
            }
            Stage::Over => None,
            Stage::Gone => Some(callback),
        }
    }

    /// The answer is whole: nobody is to be told.
    pub(crate) fn is_over(&self) {
        over(&self.0);
    }
}

impl Present {
    /// As [`OnGone::is_over`].
    pub(crate) fn is_over(&self) {
        over(&self.stage);
    }

    /// Whether the answer came to its end.
    pub(crate) fn was_whole(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Over)
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
            let mut stage = self.stage.lock();
            match std::mem::replace(&mut *stage, Stage::Gone) {
                Stage::Waiting(callback) => callback,
                Stage::Over => {
                    *stage = Stage::Over;
                    None
                }
                Stage::Gone => None,
            }
        };
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
