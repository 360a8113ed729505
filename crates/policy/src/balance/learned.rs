//! The endpoint that is least loaded by its own word: `LEARNED`.
//!
//! Endpoints say with their answers how many requests they have under way, of all callers, and how long one takes there. The
//! last few words make a [`Pool`], as in Prequal (NSDI '24, arXiv 2312.10172); a choice looks at that alone, and takes the one
//! with the fewest requests, of several the one with the lowest latency. What is chosen is charged for it until it speaks again.
//! Endpoints that fail fast are left out before: they always look idle.
//!
//! Prequal goes by latency among those that are not hot. In the simulation (`tests/balancing`) requests in flight alone did
//! better under every load, by a factor of two and more where servers are near their limits: all callers see the same few
//! fast servers, and what they send there shows in requests at once and in latencies much later.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::draws::Draws;
use super::observed::{Observed, Report};

/// The most words that a choice looks at.
const WORDS: usize = 16;
/// With fewer words than this there is nothing to compare.
const FEWEST: usize = 2;
const EMPTY: u32 = u32::MAX;

/// The endpoints that spoke last.
#[derive(Debug)]
pub(crate) struct Pool {
    places: Box<[AtomicU32]>,
    next: AtomicU32,
}

impl Pool {
    /// For a group of so many endpoints: half of them, 16 at most.
    pub(crate) fn new(members: usize) -> Pool {
        let size = WORDS.min(members / 2).max(FEWEST);
        Pool { places: (0..size).map(|_| AtomicU32::new(EMPTY)).collect(), next: AtomicU32::new(0) }
    }

    /// An endpoint has spoken: it takes the place of the one that spoke the longest ago, unless it has one.
    pub(crate) fn put(&self, index: u32) {
        if self.places.iter().any(|place| place.load(Relaxed) == index) {
            return;
        }
        let at = self.next.fetch_add(1, Relaxed) as usize % self.places.len();
        self.places[at].store(index, Relaxed);
    }

    /// Those in it, from one of its places on.
    fn members(&self, first: usize) -> impl Iterator<Item = u32> {
        let (before, behind) = self.places.split_at(first);
        let places = behind.iter().chain(before);
        places.map(|place| place.load(Relaxed)).filter(|index| *index != EMPTY)
    }
}

/// A word that a choice looks at, per unit of weight.
#[derive(Debug, Clone, Copy)]
struct Word {
    index: u32,
    in_flight: f64,
    latency: Duration,
}

impl Word {
    fn is_below(&self, other: &Word) -> bool {
        // Half as long is no chance; among those that are nearly alike calls should be spread.
        self.in_flight < other.in_flight
            || (self.in_flight == other.in_flight && self.latency < other.latency / 2)
    }
}

/// The best of the pool; `None` where the choice should be made without it. `is_usable` says which may be called, `weight` how
/// much of the load each should have.
pub(crate) fn pick<'o>(
    pool: &Pool,
    now: Duration,
    draws: &mut Draws,
    observed: impl Fn(u32) -> &'o Observed,
    is_usable: impl Fn(u32) -> bool,
    weight: impl Fn(u32) -> f64,
) -> Option<u32> {
    let mut best: Option<Word> = None;
    let mut count = 0;
    for index in pool.members(draws.below(pool.places.len() as u64) as usize) {
        let seen = observed(index);
        if !is_usable(index) || seen.is_avoided(now) {
            continue;
        }
        let Some(Report { in_flight, latency }) = seen.report(now) else { continue };
        count += 1;
        let word = Word { index, in_flight: f64::from(in_flight) / weight(index), latency };
        if best.is_none_or(|best| word.is_below(&best)) {
            best = Some(word);
        }
    }
    // Only what is called speaks: the pool would shrink to the few that are, and never see others get better, if those were
    // not called now and then.
    if count < FEWEST || draws.below(pool.places.len() as u64 + 1) >= count as u64 {
        return None;
    }
    let best = best?.index;
    observed(best).charge();
    Some(best)
}

/// One that is not avoided, out of a few that are drawn by `draw`; the last one where all of those are.
pub(crate) fn not_avoided<'o>(
    mut draw: impl FnMut() -> Option<u32>,
    observed: impl Fn(u32) -> &'o Observed,
    now: Duration,
) -> Option<u32> {
    const LOOKS: usize = 8;
    let mut found = None;
    for _ in 0..LOOKS {
        let index = draw()?;
        found = Some(index);
        if !observed(index).is_avoided(now) {
            break;
        }
    }
    found
}

/// Whether so few of some that are drawn are avoided that one more may be: half of them at most.
pub(crate) fn may_avoid<'o>(
    draws: &mut Draws,
    members: &[u32],
    observed: impl Fn(u32) -> &'o Observed,
    now: Duration,
) -> bool {
    const LOOKS: usize = 32;
    let is_avoided = |index: &u32| observed(*index).is_avoided(now);
    let (looked, avoided) = match members.len() <= LOOKS {
        // The one that is asked about would be one more.
        true => (members.len(), members.iter().filter(|index| is_avoided(index)).count() + 1),
        false => {
            let drawn = (0..LOOKS).map(|_| members[draws.below(members.len() as u64) as usize]);
            (LOOKS, drawn.filter(|index| is_avoided(index)).count())
        }
    };
    avoided * 2 <= looked
}
