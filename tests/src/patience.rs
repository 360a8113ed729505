//! Waiting for what must come: events with a generous bound, never a time that has to pass.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How long a thing may take on a busy machine before a test counts as failed. What an issue promises in a shorter time
/// is measured by the test itself.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a state that sends no event is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Looks at something until it is as it should be, and gives what was seen. `check` tells in an error what is not yet.
///
/// # Panics
/// After [`PATIENCE`], with the last error.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = "it was never looked at".to_owned();
    loop {
        looks.tick().await;
        match timeout_at(deadline, check()).await {
            Ok(Ok(seen)) => return seen,
            Ok(Err(error)) => last = error,
            Err(_) => panic!("{what}: not within {PATIENCE:?}: a look did not end; before: {last}"),
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}: {last}");
    }
}

/// Waits for a future that must end.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("{what}: not within {PATIENCE:?}")
    };
    value
}
