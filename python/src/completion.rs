//! Answers for an asyncio loop. Those that come while the loop is busy are handed over together: it is woken once.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

type Outcome = PyResult<Py<PyAny>>;
type Waiting = Vec<(Py<PyAny>, Outcome)>;

/// What a loop is still to be told.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Completions {
    wake: Py<PyAny>,
    waiting: Arc<Mutex<Waiting>>,
}

#[pymethods]
impl Completions {
    /// `wake` has the loop call [`Completions::deliver`] soon; it may be called on any thread.
    #[new]
    fn new(wake: Py<PyAny>) -> Completions {
        Completions { wake, waiting: Arc::default() }
    }

    /// Gives each future its outcome; for the loop's own thread.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for (future, outcome) in waiting {
            let future = future.bind(py);
            // One that was cancelled waits for nothing any longer.
            if future.call_method0("done")?.is_truthy()? {
                continue;
            }
            match outcome {
                Ok(result) => future.call_method1("set_result", (result,))?,
                Err(error) => future.call_method1("set_exception", (error,))?,
            };
        }
        Ok(())
    }
}

impl Completions {
    /// Notes an outcome, and wakes the loop if it does not know of another one already.
    pub(crate) fn tell(
        this: &Py<Completions>,
        py: Python<'_>,
        future: Py<PyAny>,
        outcome: Outcome,
    ) {
        let completions = this.get();
        let is_first = {
            let mut waiting = completions.waiting.lock();
            waiting.push((future, outcome));
            waiting.len() == 1
        };
        if is_first && completions.wake.call0(py).is_err() {
            // The loop is closed: nobody waits.
            completions.waiting.lock().clear();
        }
    }
}

/// A call that was started.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Started(pub(crate) AbortHandle);

#[pymethods]
impl Started {
    /// Gives the call up.
    fn cancel(&self) {
        self.0.abort();
    }
}
