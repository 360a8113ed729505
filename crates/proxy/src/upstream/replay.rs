//! What of a request's body was sent already, kept while it may have to be sent again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::http::body::Watch;
use crate::http::head::Fields;

/// The longest body that is kept for another attempt, bytes (Envoy keeps up to 1 MiB; bodies of calls between services
/// are seldom above a few kilobytes).
const MAX_KEPT: usize = 64 * 1024;

/// How long a caller may send nothing of a body that is not over (Envoy's default for a stream).
const PATIENCE: Duration = Duration::from_secs(300);

/// The request's body as far as it has passed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    kept: Vec<u8>,
    /// Whether too much has passed to be kept.
    overflowed: bool,
    /// Bytes that passed, all attempts' together counted once.
    passed: u64,
    /// Told when the body has passed to its end.
    end: Option<Rc<Cell<bool>>>,
}

impl Replay {
    /// A body that has passed already.
    pub(crate) fn of(kept: Vec<u8>) -> Replay {
        Replay { kept, ..Replay::default() }
    }

    /// Says from now on whether the body has passed to its end; `is_over` if it has already.
    pub(crate) fn tell_end(&mut self, is_over: bool) -> Rc<Cell<bool>> {
        let end = self.end.get_or_insert_default();
        end.set(end.get() || is_over);
        end.clone()
    }

    /// What has to be sent first in another attempt; `None` if it cannot be made.
    pub(crate) fn kept(&self) -> Option<&[u8]> {
        (!self.overflowed).then_some(&self.kept)
    }

    /// Bytes of the body so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// The answer has begun: there will be no other attempt.
    pub(crate) fn forget(&mut self) {
        self.overflowed = true;
        self.kept = Vec::new();
    }
}

impl Watch for Replay {
    fn data(&mut self, bytes: &[u8]) {
        self.passed += bytes.len() as u64;
        if self.overflowed {
            return;
        }
        if self.kept.len() + bytes.len() > MAX_KEPT {
            self.forget();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, _trailers: &Fields) {
        if let Some(end) = &self.end {
            end.set(true);
        }
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }
}
