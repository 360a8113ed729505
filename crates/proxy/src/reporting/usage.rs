//! What of a workload's load changes slowly: its share of the processors, requests and errors a second. Looked at once a second while
//! somebody asks for reports; a report takes what stands here.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use meltemi_policy::balance::Meter;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::Meters;
use crate::clock;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row without anybody who asks end the looking.
const IDLE: u32 = 10;

/// The time that the application has had of processors so far; `None` where that cannot be known.
pub(crate) type CpuTime = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// What was found at the last look.
#[derive(Default)]
pub(crate) struct Usage {
    /// As it stands in reports; empty while nothing is known.
    text: ArcSwap<String>,
    /// Whether somebody has asked since the last look.
    is_wanted: AtomicBool,
    wanted: Notify,
    cpu: OnceLock<CpuTime>,
}

/// One look.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    cpu: Option<Duration>,
    answers: u32,
    errors: u32,
}

impl Usage {
    /// Somebody asks: as it is to be written.
    pub(super) fn text(&self) -> arc_swap::Guard<Arc<String>> {
        // A line that nobody writes is shared by all workers.
        if !self.is_wanted.load(Relaxed) {
            self.is_wanted.store(true, Relaxed);
            self.wanted.notify_one();
        }
        self.text.load()
    }

    /// How to find out what the application has had; the first one that is told counts.
    pub(super) fn measure_cpu(&self, time: CpuTime) {
        // Nobody tells a second one.
        let _ = self.cpu.set(time);
    }
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usage").field("text", &self.text).finish_non_exhaustive()
    }
}

/// Looks once a second while somebody asks, for as long as it is polled.
pub(super) async fn follow(meters: Arc<Meters>) {
    let usage = &meters.usage;
    let cores = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    loop {
        usage.wanted.notified().await;
        let mut before = Look::take(&meters);
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once.
        looks.tick().await;
        let mut idle = 0;
        while idle < IDLE {
            looks.tick().await;
            idle = if usage.is_wanted.swap(false, Relaxed) { 0 } else { idle + 1 };
            let now = Look::take(&meters);
            usage.text.store(Arc::new(now.since(&before, cores)));
            before = now;
        }
        usage.text.store(Arc::default());
    }
}

impl Look {
    fn take(meters: &Meters) -> Look {
        let (answers, errors) = Meter::totals(meters.each.iter());
        let cpu = meters.usage.cpu.get().and_then(|time| time());
        Look { at: clock::now(), cpu, answers, errors }
    }

    /// What is to be said of the time since another one.
    fn since(&self, before: &Look, cores: f64) -> String {
        let seconds = self.at.saturating_sub(before.at).as_secs_f64();
        let mut text = String::new();
        if seconds <= 0.0 {
            return text;
        }
        if let (Some(now), Some(before)) = (self.cpu, before.cpu) {
            // The system counts in hundredths of a second: a full second may look a little fuller.
            let share = now.saturating_sub(before).as_secs_f64() / seconds / cores;
            // Nothing fails that writes to memory.
            let _ = write!(text, ",cpu_utilization={:.3}", share.min(1.0));
        }
        let rate = |now: u32, before: u32| f64::from(now.wrapping_sub(before)) / seconds;
        let (answers, errors) =
            (rate(self.answers, before.answers), rate(self.errors, before.errors));
        let _ = write!(text, ",rps_fractional={answers:.1},eps={errors:.1}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporting::Reporting;

    fn look(millis: u64, cpu: Option<u64>, answers: u32, errors: u32) -> Look {
        Look {
            at: Duration::from_millis(millis),
            cpu: cpu.map(Duration::from_millis),
            answers,
            errors,
        }
    }

    #[test]
    fn rates_are_per_second_and_the_processors_share_is_of_all_that_there_are() {
        for (now, expected) in [
            (look(2000, Some(1500), 30, 6), ",cpu_utilization=0.250,rps_fractional=30.0,eps=6.0"),
            (look(3000, Some(9000), 1, 0), ",cpu_utilization=1.000,rps_fractional=0.5,eps=0.0"),
            // A child that has ended takes its time with it.
            (look(2000, Some(900), 0, 0), ",cpu_utilization=0.000,rps_fractional=0.0,eps=0.0"),
            (look(2000, None, 10, 0), ",rps_fractional=10.0,eps=0.0"),
            (look(1000, Some(1000), 0, 0), ""),
        ] {
            assert_eq!(now.since(&look(1000, Some(1000), 0, 0), 2.0), expected, "{now:?}");
        }
        let wrapped = look(2000, None, 5, 0).since(&look(1000, None, u32::MAX - 4, 0), 1.0);
        assert_eq!(wrapped, ",rps_fractional=10.0,eps=0.0");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_while_somebody_asks_and_forgotten_afterwards() {
        let meters = Meters::new(1);
        let looks = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = looks.clone();
        meters.usage.measure_cpu(Box::new(move || {
            counted.fetch_add(1, Relaxed);
            Some(Duration::ZERO)
        }));
        let reporting = Reporting::new(meters.clone(), 0);
        let follow = tokio::spawn(follow(meters.clone()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(looks.load(Relaxed), 0, "nobody asks");
        assert_eq!(**reporting.meters.usage.text(), "");
        tokio::time::sleep(Duration::from_secs(30)).await;
        // One to begin with, one after which somebody had asked, and ten in vain.
        assert_eq!(looks.load(Relaxed), 12);
        assert_eq!(**meters.usage.text.load(), "", "it is too old");
        follow.abort();
    }
}
