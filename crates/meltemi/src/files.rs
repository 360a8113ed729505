//! How many descriptors a process may have open. The soft limit, 1,024 on most machines, is there for programs that use
//! `select(2)`; servers raise it to the hard one, as nginx and Go's runtime do.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit that this process began with.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit of this process to the hard one; [`before`] is what it was.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let Some(before) = limit.current.filter(|_| limit.current != limit.maximum) else { return };
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => BEFORE.set(before).unwrap_or_default(),
        // It goes on with fewer.
        Err(error) => tracing::warn!(%error, before, "the limit of open files could not be raised"),
    }
}

/// The soft limit that was raised; none where it is as it was.
pub fn before() -> Option<u64> {
    BEFORE.get().copied()
}

/// Gives the command of a sidecar the soft limit that it would have had without one.
pub fn restore(soft: u64) {
    let limit = getrlimit(Resource::Nofile);
    // With a higher one the command runs too.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..limit });
}
