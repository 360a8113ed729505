//! The endpoint that is least loaded by its own word: `LEARNED`.
//!
//! Endpoints say with their answers how many requests they have under way, of all callers, and how long one takes there. The
//! last few words make a [`Pool`], as in Prequal (NSDI '24, arXiv 2312.10172); a choice looks at that alone, and takes the one
//! where requests, times the fourth root of latency, are fewest. What is chosen is charged for it until it speaks again.
//! Endpoints that fail fast are left out before: they always look idle.
//!
//! Prequal goes by latency among those that are not hot. In the simulation (`tests/balancing`) requests in flight do better under
//! every load: all callers see the same few fast servers, and what they send there shows in requests at once and in
//! latencies much later. Latency says something that requests do not: which servers have less to give. So it counts, but little.
//! `docs/performance.md` has what was tried.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::draws::Draws;
use super::observed::{Observed, Report};

/// The most words that a choice looks at: of more the older ones are the worse, as they say what was a while ago.
const WORDS: usize = 8;
/// Where there are few endpoints up to so many words are looked at, though they are more than half.
const FEW: usize = 4;
/// Between two probes there lie so many microseconds in the mean: ten a second at most, which is enough where calls are few.
const PROBE_GAP: u64 = 100_000;
/// So many probes may be sent at once after a pause.
const PROBES_AT_ONCE: u64 = 3;
/// One choice in so many is made without words, so that others are heard of.
const ELSEWHERE: f64 = 17.0;
/// With fewer words than this there is nothing to compare.
const FEWEST: usize = 2;
/// So many endpoints are looked at for one that fits.
const LOOKS: usize = 8;
/// What takes less than this is as good as what takes no time: below it the noise of an idle machine, and whether the last
/// request was long ago, say more than the server does.
const SHORT: Duration = Duration::from_millis(1);
const EMPTY: u32 = u32::MAX;

/// The endpoints that spoke last.
#[derive(Debug)]
pub(crate) struct Pool {
    places: Box<[AtomicU32]>,
    next: AtomicU32,
    /// When the next probe may be sent at the earliest, in microseconds, if none before it came too early.
    probe_from: AtomicU64,
}

impl Pool {
    /// For a group of so many endpoints: half of them, 8 at most, and 4 at least if there are as many.
    pub(crate) fn new(members: usize) -> Pool {
        let size = WORDS.min(members / 2).max(FEW.min(members)).max(FEWEST);
        let places = (0..size).map(|_| AtomicU32::new(EMPTY)).collect();
        Pool { places, next: AtomicU32::new(0), probe_from: AtomicU64::new(0) }
    }

    /// An endpoint has spoken: it takes the place of the one that spoke the longest ago, unless it has one.
    pub(crate) fn put(&self, index: u32) {
        if self.places.iter().any(|place| place.load(Relaxed) == index) {
            return;
        }
        let at = self.next.fetch_add(1, Relaxed) as usize % self.places.len();
        self.places[at].store(index, Relaxed);
    }

    /// One of the members that should be asked for its load; `None` where words are young enough, or enough were asked. Only one
    /// is asked whose proxy has said that it answers, and only if what it said is too old.
    pub(crate) fn probe<'o>(
        &self,
        now: Duration,
        draws: &mut Draws,
        members: &[u32],
        observed: impl Fn(u32) -> &'o Observed,
        is_reachable: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let young = self.members(0).filter(|index| observed(*index).report(now).is_some());
        if young.count() >= self.places.len().min(members.len()) {
            return None;
        }
        let should = |index: &u32| {
            let seen = observed(*index);
            seen.may_be_asked(now) && !seen.is_avoided(now) && is_reachable(*index)
        };
        let looked = (0..LOOKS).map(|_| draws.below(members.len() as u64) as usize);
        let found = looked.filter_map(|at| members.get(at).copied()).find(should)?;
        if !self.may_probe(now) {
            return None;
        }
        observed(found).ask(now);
        Some(found)
    }

    /// Whether a probe more is within the limit; it counts then.
    fn may_probe(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let take = |from: u64| {
            let is_early = from > now.saturating_add(PROBE_GAP * (PROBES_AT_ONCE - 1));
            (!is_early).then(|| from.max(now).saturating_add(PROBE_GAP))
        };
        self.probe_from.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// Those in it, from one of its places on.
    fn members(&self, first: usize) -> impl Iterator<Item = u32> {
        let (before, behind) = self.places.split_at(first);
        let places = behind.iter().chain(before);
        places.map(|place| place.load(Relaxed)).filter(|index| *index != EMPTY)
    }
}

/// A word that a choice looks at.
#[derive(Debug, Clone, Copy)]
struct Word {
    index: u32,
    /// It does more than it should, by its application's word.
    is_over: bool,
    /// Requests, the one to be made among them, per unit of weight.
    load: f64,
    latency: Duration,
    cost: f64,
}

impl Word {
    fn new(index: u32, report: Report, weight: f64) -> Word {
        let load = (f64::from(report.in_flight) + 1.0) / weight;
        // One that has not said how long it takes is no miracle either.
        let latency = report.latency.max(SHORT);
        let cost = load * latency.as_secs_f64().sqrt().sqrt();
        Word { index, is_over: false, load, latency, cost }
    }

    fn is_below(&self, other: &Word) -> bool {
        // What an application knows of its load, its proxy may not see.
        if self.is_over != other.is_over {
            return other.is_over;
        }
        if self.load == other.load {
            // Half as long is no chance; among those that are nearly alike calls should be spread.
            return self.latency < other.latency / 2;
        }
        self.cost < other.cost
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
        let Some(report) = seen.report(now) else { continue };
        count += 1;
        let is_over = seen.is_over(now);
        let word = Word { is_over, ..Word::new(index, report, weight(index)) };
        if best.is_none_or(|best| word.is_below(&best)) {
            best = Some(word);
        }
    }
    // Only what is called speaks: the pool would shrink to the few that are, and never see others get better, if those were
    // not called now and then.
    let places = pool.places.len();
    let elsewhere = ((places - count) as f64 / (places + 1) as f64).max(1.0 / ELSEWHERE);
    if count < FEWEST || draws.unit() < elsewhere {
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
