//! A steady pace: says when the next requests are due, to the precision of the kernel's timers. Tokio's wheel turns in
//! whole milliseconds, which would count as latency where a call takes less than one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Requests that are due at equal intervals.
pub(super) struct Pace {
    timer: AsyncFd<OwnedFd>,
    started: Instant,
    interval: Duration,
}

impl Pace {
    /// Starts now; the first request is due one interval later.
    pub(super) fn start(interval: Duration) -> io::Result<Pace> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let every = Timespec {
            tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: interval.subsec_nanos().into(),
        };
        let timer = watched(timer)?;
        let started = Instant::now();
        let spec = Itimerspec { it_interval: every, it_value: every };
        timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        Ok(Pace { timer, started, interval })
    }

    /// Waits until requests are due that were not before; gives their number.
    pub(super) async fn due(&self) -> io::Result<u64> {
        loop {
            let mut ready = self.timer.readable().await?;
            let read = ready.try_io(|timer| {
                let mut count = [0; size_of::<u64>()];
                rustix::io::read(timer.get_ref(), &mut count)?;
                Ok(u64::from_ne_bytes(count))
            });
            if let Ok(count) = read {
                return count;
            }
        }
    }

    /// When the `n`th request, counted from 0, was or will be due.
    pub(super) fn time_of(&self, n: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(n) + 1);
        self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[expect(
    deprecated,
    reason = "its heir is unsafe; an `OwnedFd` keeps its descriptor, as it should"
)]
fn watched(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn as_many_requests_are_due_as_intervals_have_passed() {
        let pace = Pace::start(Duration::from_millis(2)).unwrap();
        let mut due = 0;
        while due < 20 {
            due += pace.due().await.unwrap();
            assert!(Instant::now() >= pace.time_of(due - 1), "request {due} is early");
        }
    }
}
