//! The threads that work while Python does something else, and how Python waits for them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use meltemi_sdk::Error;
use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::errors::{self, raise};

/// How often a wait looks whether Python was asked to end (Ctrl-C).
const LOOK: Duration = Duration::from_millis(100);
/// Threads of handlers, at most. Each service has a limit of its own far below; this one must not be met, as handlers may
/// wait for each other.
const THREADS: usize = 16 * 1024;

/// The runtime, and the process that it is of.
static CURRENT: Mutex<Option<(u32, Arc<Runtime>)>> = Mutex::new(None);

/// The runtime of this process. One that a parent had before a fork is left alone.
pub(crate) fn current() -> PyResult<Arc<Runtime>> {
    let mut current = CURRENT.lock();
    let pid = std::process::id();
    match current.take() {
        Some((of, runtime)) if of == pid => {
            *current = Some((of, runtime.clone()));
            return Ok(runtime);
        }
        // Its threads are the parent's: to end them here could wait for ever.
        Some((_, runtime)) => std::mem::forget(runtime),
        None => {}
    }
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .thread_name("meltemi")
        .enable_all()
        .build();
    let runtime = Arc::new(built.map_err(|error| {
        errors::Error::new_err(format!("threads of the mesh cannot be started: {error}"))
    })?);
    *current = Some((pid, runtime.clone()));
    Ok(runtime)
}

/// Waits without holding up Python's other threads. Ctrl-C ends it, and what was waited for is dropped.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    runtime: &Runtime,
    future: impl Future<Output = Result<T, Error>> + Send,
) -> PyResult<T> {
    py.detach(|| {
        runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                match tokio::time::timeout(LOOK, &mut future).await {
                    Ok(done) => return done.map_err(|error| raise(&error)),
                    Err(_) => Python::attach(|py| py.check_signals())?,
                }
            }
        })
    })
}
