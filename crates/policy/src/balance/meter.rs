//! The called side: what an endpoint says of its own load. A request costs a few writes that only one thread makes.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::observed::Report;

/// The median moves by this part of itself with each answer: a change to twice as much is followed within some twelve.
const STEP: f32 = 0.06;
/// After each of these times without an answer the next one moves it by a step more: what was a while ago says little, and who is
/// called seldom because of it would not be seen to get better.
const PAUSE: Duration = Duration::from_millis(100);
/// So many steps at once are as many as it takes to follow a change to twice as much.
const STEPS: u32 = 12;

/// Counts requests under way and how long answers take. One for each thread, which alone writes to it; all are read together.
#[derive(Debug, Default)]
pub struct Meter {
    in_flight: AtomicU32,
    /// Those of them that are not answered yet, and the sum of the times at which they came, in microseconds.
    unanswered: AtomicU32,
    came: AtomicI64,
    /// The median of the time until an answer begins: seconds (the bits of an `f32`); 0 while nothing is known.
    median: AtomicU32,
    /// When the last answer began, in milliseconds; it wraps.
    answered: AtomicU32,
    /// Answers so far, and those of them that are errors; they wrap.
    answers: AtomicU32,
    errors: AtomicU32,
}

impl Meter {
    /// A request has come.
    pub fn begin(&self, now: Duration) {
        add(&self.in_flight, 1);
        add(&self.unanswered, 1);
        self.came.store(self.came.load(Relaxed).wrapping_add(micros(now)), Relaxed);
    }

    /// The answer to a request that came then begins.
    pub fn answer(&self, came: Duration, now: Duration) {
        self.give_up(came);
        let took = now.saturating_sub(came).as_secs_f32();
        let median = f32::from_bits(self.median.load(Relaxed));
        let steps = self.steps(now);
        let next = match median == 0.0 {
            true => took,
            false if took > median => took.min(median * (1.0 + STEP).powi(steps)),
            false => took.max(median * (1.0 - STEP).powi(steps)),
        };
        self.median.store(next.to_bits(), Relaxed);
    }

    /// By how many steps an answer now moves the median.
    fn steps(&self, now: Duration) -> i32 {
        let now = now.as_millis() as u32;
        let pause = now.wrapping_sub(self.answered.load(Relaxed)) / PAUSE.as_millis() as u32;
        self.answered.store(now, Relaxed);
        1 + pause.min(STEPS - 1) as i32
    }

    /// An answer is counted for the rates of answers and errors.
    pub fn count(&self, is_error: bool) {
        add(&self.answers, 1);
        if is_error {
            add(&self.errors, 1);
        }
    }

    /// Answers and errors so far, of all threads; both wrap.
    pub fn totals<'m>(meters: impl Iterator<Item = &'m Meter>) -> (u32, u32) {
        meters.fold((0, 0), |(answers, errors): (u32, u32), meter| {
            let (more, wrong) = (meter.answers.load(Relaxed), meter.errors.load(Relaxed));
            (answers.wrapping_add(more), errors.wrapping_add(wrong))
        })
    }

    /// There will be no answer to a request that came then.
    pub fn give_up(&self, came: Duration) {
        add(&self.unanswered, u32::MAX);
        self.came.store(self.came.load(Relaxed).wrapping_sub(micros(came)), Relaxed);
    }

    /// A request is over, whatever became of it.
    pub fn end(&self) {
        add(&self.in_flight, u32::MAX);
    }

    /// What all threads' meters say together. The latency is the median, or, where that is more, twice the mean age of the
    /// requests that wait for an answer: where nothing comes back any more the median stands still.
    pub fn report<'m>(meters: impl Iterator<Item = &'m Meter>, now: Duration) -> Report {
        let (mut in_flight, mut unanswered, mut age) = (0, 0, 0i64);
        let (mut median, mut known) = (0.0, 0.0);
        for meter in meters {
            let waiting = meter.unanswered.load(Relaxed);
            in_flight += meter.in_flight.load(Relaxed);
            unanswered += waiting;
            let came = meter.came.load(Relaxed);
            age = age.wrapping_add(i64::from(waiting).wrapping_mul(micros(now)).wrapping_sub(came));
            let its = f32::from_bits(meter.median.load(Relaxed));
            if its > 0.0 {
                median += its;
                known += 1.0;
            }
        }
        let median = if known > 0.0 { median / known } else { 0.0 };
        let age = match unanswered {
            0 => Duration::ZERO,
            count => Duration::from_micros((age.max(0) / i64::from(count)) as u64),
        };
        let latency = Duration::from_secs_f32(median).max(2 * age);
        Report { in_flight: in_flight as f32, latency, answers_probes: true }
    }
}

/// Adds to what one thread alone writes: no other core has to be asked.
fn add(number: &AtomicU32, more: u32) {
    number.store(number.load(Relaxed).wrapping_add(more), Relaxed);
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// What the meter says after answers that took so long, one after each pause.
    fn after(pause: Duration, took: impl IntoIterator<Item = Duration>) -> Duration {
        let (meter, mut now) = (Meter::default(), Duration::from_secs(10));
        for took in took {
            now += pause.max(took);
            meter.begin(now - took);
            meter.answer(now - took, now);
            meter.end();
        }
        Meter::report([&meter].into_iter(), now).latency
    }

    #[test]
    fn a_first_answer_that_took_long_is_forgotten_within_a_few_where_they_are_few() {
        let took = |others| std::iter::once(50 * MILLI).chain(vec![MILLI; others]);
        assert!(after(MILLI, took(40)) > 2 * MILLI);
        assert!(after(Duration::from_millis(250), took(25)) <= 2 * MILLI);
        assert!(after(Duration::from_secs(2), took(6)) <= 2 * MILLI);
    }

    #[test]
    fn it_stays_between_what_answers_take() {
        let took = (0..100).map(|number| if number % 2 == 0 { MILLI } else { 3 * MILLI });
        for pause in [MILLI, Duration::from_secs(5)] {
            let latency = after(pause, took.clone());
            assert!((MILLI..=3 * MILLI).contains(&latency), "{latency:?}");
        }
    }
}
