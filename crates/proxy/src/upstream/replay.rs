//! What of a request's body was sent already, kept while it may have to be sent again.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::http::body::{Piece, Source, Watch};
use crate::http::head::Fields;

/// The longest body that is kept for another attempt, bytes (Envoy keeps up to 1 MiB; bodies of calls between services
/// are seldom above a few kilobytes).
const MAX_KEPT: usize = 64 * 1024;

/// How long a caller may send nothing of a body that is not over (Envoy's default for a stream).
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The request's body as far as it has passed.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    kept: Vec<u8>,
    /// Whether too much has passed to be kept.
    overflowed: bool,
    /// Bytes that passed, all attempts' together counted once.
    passed: u64,
    /// Told when all of the body is here; only where somebody has to know.
    end: Option<Whole>,
}

/// When all of a request had come, once it has: whatever has to be answered in a certain time is by then (Envoy's route
/// timeout and its timeout of one try).
pub(crate) type Whole = Rc<Cell<Option<Instant>>>;

impl Replay {
    /// A body that has passed already.
    pub(crate) fn of(kept: Vec<u8>) -> Replay {
        Replay { kept, ..Replay::default() }
    }

    /// A body that was read so far, and no attempt has sent yet.
    pub(crate) fn read(kept: Vec<u8>) -> Replay {
        Replay { passed: kept.len() as u64, ..Replay::of(kept) }
    }

    /// Says from now on when all of this body was here.
    pub(crate) fn tell_whole(&mut self, body: &mut Source<'_>) -> Whole {
        let end = self.end.get_or_insert_default().clone();
        if body.is_here() {
            self.is_whole();
        }
        end
    }

    /// Takes in what comes of the body while nobody reads it, where it has to be known when all of it is here.
    pub(crate) fn look(&mut self, body: &mut Source<'_>, cx: &mut Context<'_>) {
        if !self.waits_for_whole() {
            return;
        }
        match body {
            // If the caller is gone, whoever reads next will see it.
            Source::H1(reader) => drop(reader.poll_gone(cx)),
            Source::H2(receiver) => {
                while matches!(receiver.piece(), Piece::Nothing)
                    && matches!(receiver.poll_more(cx), Poll::Ready(Ok(())))
                {}
            }
            Source::InProcess(given) => {
                while matches!(given.piece(), Piece::Nothing)
                    && matches!(given.poll_more(cx), Poll::Ready(Ok(())))
                {}
            }
            Source::Over(_) | Source::Bytes(..) => {}
        }
        if body.is_here() {
            self.is_whole();
        }
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
        self.is_whole();
    }

    fn waits_for_whole(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.get().is_none())
    }

    fn is_whole(&mut self) {
        if let Some(end) = self.end.as_ref().filter(|end| end.get().is_none()) {
            end.set(Some(Instant::now()));
        }
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }
}
