//! Whose tokens our workload takes: the rules of its `RequestAuthentication`s, compiled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meltemi_policy::jwt::Authentication;
use meltemi_policy::jwt::rule::RequestAuthentication;

/// The next configuration's id. 0 is none's.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Reads the rules of a `Workload` message; `None` where there are none. One that cannot be read must never let a token
/// pass: then every request is refused.
pub(super) fn read(bodies: &[Vec<u8>]) -> Option<Arc<Authentication>> {
    if bodies.is_empty() {
        return None;
    }
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let sources: Result<Vec<RequestAuthentication>, serde_json::Error> =
        bodies.iter().map(|body| serde_json::from_slice(body)).collect();
    Some(Arc::new(match sources {
        Ok(sources) => Authentication::compile(id, sources),
        Err(reason) => {
            tracing::error!(
                %reason,
                "a rule for tokens cannot be read; every request is refused until it can: control plane and proxy may be of versions that do not fit"
            );
            Authentication::closed(id, &reason.to_string())
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_be_read_close_what_they_are_for() {
        let good = br#"{"name":"a","namespace":"b","jwtRules":[{"issuer":"i"}]}"#.to_vec();
        assert_eq!(read(&[]), None);
        let one = [good.clone()];
        let read_good = read(&one).unwrap();
        assert_eq!((read_good.closed_because(), read_good.sources().len()), (None, 1));
        // The same words are the same rules, so that tokens stay verified.
        assert_eq!(read(&one), Some(read_good));
        for bad in [&b"{"[..], br#"{"name":"a","namespace":"b","another":1}"#, b""] {
            let read = read(&[good.clone(), bad.to_vec()]).unwrap();
            assert!(read.closed_because().is_some());
        }
    }
}
