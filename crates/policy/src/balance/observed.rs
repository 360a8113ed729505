//! What a caller has seen of an endpoint, and what the endpoint itself has said of its load: what `PEAK_EWMA` and `LEARNED`
//! go by. Belongs to the endpoint, is shared by all threads, and takes no lock.
//!
//! Words of several parts may be read while they are written; a choice that goes by half of a report is a little worse, no more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is older is no longer believed.
pub(crate) const LIFE: Duration = Duration::from_secs(1);
/// What a choice counts for until the endpoint speaks again, in requests: more than the one, as other callers have heard the same
/// word and go by it too.
const CHARGE: f32 = 3.0;
/// In how long a peak is forgotten, all but a third of it (Finagle's and Linkerd's decay).
const DECAY_SECONDS: f32 = 10.0;
/// The share of failures moves by this part of the way with each outcome: six in a row from the first on pass half.
const STEP: f32 = 0.125;
/// An endpoint that failed in more of its last calls than this is avoided.
const AVOIDED_FROM: f32 = 0.5;
/// How long it is avoided before it is tried again; the next failure avoids it again at once.
const AVOIDED: Duration = Duration::from_secs(1);

/// An endpoint's own word on its load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Requests under way there, of all callers.
    pub in_flight: f32,
    /// How long a request takes there now.
    pub latency: Duration,
    /// Whether its proxy answers probes itself. One that does not know them would take one for a request.
    pub answers_probes: bool,
}

/// What a call told of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// The time until the answer began, or until it was clear that there would be none.
    pub took: Duration,
    /// Whether it failed on the endpoint's side: unreachable, too late, or a status of 500 and above.
    pub is_failure: bool,
    /// What the endpoint said of itself with its answer.
    pub report: Option<Report>,
}

/// What is known of one endpoint.
#[derive(Debug, Default)]
pub struct Observed {
    /// The last report: requests in flight (the bits of an `f32`) and microseconds of latency.
    report: AtomicU64,
    /// When it came, in microseconds; 0 while there is none.
    reported: AtomicU64,
    /// Whether its proxy answers probes, by its last report.
    answers_probes: AtomicBool,
    /// When it was asked last by a probe, in microseconds; 0 if it never was.
    asked: AtomicU64,
    /// Choices that went by it.
    uses: AtomicU32,
    /// How much of what it can do the endpoint does, as it has said last (the bits of an `f32`), and the millisecond of that; 0
    /// while there is none.
    utilization: AtomicU64,
    /// The share of failures among the last calls (the bits of an `f32`).
    failures: AtomicU32,
    /// Until when it is avoided, in microseconds.
    avoided: AtomicU64,
    /// The peak of latency, forgotten slowly: seconds (the bits of an `f32`), and the millisecond of the last look. 0 while
    /// nothing is known.
    peak: AtomicU64,
}

impl Observed {
    /// Notes the endpoint's own word.
    pub(crate) fn note(&self, report: Report, now: Duration) {
        let in_flight = if report.in_flight.is_finite() { report.in_flight.max(0.0) } else { 0.0 };
        self.report.store(pack(in_flight, micros(report.latency) as u32), Relaxed);
        self.uses.store(0, Relaxed);
        self.answers_probes.store(report.answers_probes, Relaxed);
        self.reported.store(micros(now).max(1), Relaxed);
    }

    /// The endpoint's own word, its load raised by [`CHARGE`] for every choice since, if it is young enough.
    pub(crate) fn report(&self, now: Duration) -> Option<Report> {
        let reported = self.reported.load(Relaxed);
        if reported == 0 || micros(now).saturating_sub(reported) > micros(LIFE) {
            return None;
        }
        let (in_flight, latency) = unpack(self.report.load(Relaxed));
        let in_flight = in_flight + CHARGE * self.uses.load(Relaxed) as f32;
        let latency = Duration::from_micros(latency.into());
        Some(Report { in_flight, latency, answers_probes: self.answers_probes.load(Relaxed) })
    }

    /// Notes how much of what it can do the endpoint does: 1 is all that it should, as gRPC's and ORCA's `application_utilization`
    /// and `cpu_utilization` have it.
    pub fn note_utilization(&self, share: f32, now: Duration) {
        if share.is_finite() && share >= 0.0 {
            self.utilization.store(pack(share, millis(now)).max(1), Relaxed);
        }
    }

    /// Whether the endpoint says that it does more than it should.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        let packed = self.utilization.load(Relaxed);
        if packed == 0 {
            return false;
        }
        let (share, at) = unpack(packed);
        share > 1.0 && u64::from(millis(now).wrapping_sub(at)) <= LIFE.as_millis() as u64
    }

    /// Whether the endpoint may be asked for its load: its proxy has said that it answers, nothing that it said is young enough
    /// to be believed, and it was not asked as long ago as that.
    pub(crate) fn may_be_asked(&self, now: Duration) -> bool {
        let asked = self.asked.load(Relaxed);
        self.answers_probes.load(Relaxed)
            && self.report(now).is_none()
            && (asked == 0 || micros(now).saturating_sub(asked) > micros(LIFE))
    }

    /// It is asked.
    pub(crate) fn ask(&self, now: Duration) {
        self.asked.store(micros(now).max(1), Relaxed);
    }

    /// A choice goes by the report.
    pub(crate) fn charge(&self) {
        self.uses.fetch_add(1, Relaxed);
    }

    /// Counts how a call ended; true if that makes the endpoint one to be avoided.
    pub(crate) fn is_failing(&self, is_failure: bool) -> bool {
        let before = f32::from_bits(self.failures.load(Relaxed));
        if !is_failure && before == 0.0 {
            // A cache line that nobody writes is shared by all cores.
            return false;
        }
        let target = if is_failure { 1.0 } else { 0.0 };
        let share = before + (target - before) * STEP;
        let share = if share < 0.01 { 0.0 } else { share };
        self.failures.store(share.to_bits(), Relaxed);
        is_failure && share > AVOIDED_FROM
    }

    pub(crate) fn avoid(&self, now: Duration) {
        self.avoided.store(micros(now.saturating_add(AVOIDED)), Relaxed);
    }

    pub(crate) fn is_avoided(&self, now: Duration) -> bool {
        let until = self.avoided.load(Relaxed);
        until != 0 && micros(now) < until
    }

    /// Notes how long a call took: a peak counts whole and at once, what is shorter by the time that has passed.
    pub(crate) fn time(&self, took: Duration, now: Duration) {
        let now = millis(now);
        let took = took.as_secs_f32();
        let next = |before: u64| {
            let peak = match before {
                0 => took,
                _ => {
                    let (peak, at) = unpack(before);
                    let kept = keep(now.wrapping_sub(at));
                    took.max(peak * kept + took * (1.0 - kept))
                }
            };
            Some(pack(peak, now).max(1))
        };
        // It always has a next value.
        let _ = self.peak.fetch_update(Relaxed, Relaxed, next);
    }

    /// The peak of latency in seconds, as far as it is not forgotten; `None` of an endpoint that never answered.
    pub(crate) fn peak(&self, now: Duration) -> Option<f32> {
        match self.peak.load(Relaxed) {
            0 => None,
            packed => {
                let (peak, at) = unpack(packed);
                Some(peak * keep(millis(now).wrapping_sub(at)))
            }
        }
    }
}

/// What is left of a peak after so many milliseconds. A clock that another thread read a little later counts as none.
fn keep(millis: u32) -> f32 {
    if millis > u32::MAX / 2 {
        return 1.0;
    }
    (-(millis as f32) / (1000.0 * DECAY_SECONDS)).exp()
}

fn pack(high: f32, low: u32) -> u64 {
    (u64::from(high.to_bits()) << 32) | u64::from(low)
}

fn unpack(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts on from 0 after seven weeks, which differences do not mind.
fn millis(time: Duration) -> u32 {
    time.as_millis() as u32
}

#[cfg(test)]
mod tests;
