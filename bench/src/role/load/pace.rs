//! When a request is due: at once, or at its place in a fixed schedule.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// Says when requests are due.
#[derive(Debug, Clone)]
pub(super) struct Pace(Option<Rc<Due>>);

/// Requests that are due and not yet sent, by the time at which they should have been.
#[derive(Debug, Default)]
struct Due {
    times: RefCell<VecDeque<Instant>>,
    more: Notify,
}

impl Pace {
    /// Each request as soon as there is a connection for it.
    pub(super) fn closed() -> Pace {
        Pace(None)
    }

    /// So many requests a second, whether or not those before are answered. A request that finds all connections busy
    /// waits, and the wait is a part of its latency (no coordinated omission).
    pub(super) fn open(rate: u32) -> io::Result<Pace> {
        let due = Rc::new(Due::default());
        let interval = Duration::from_secs(1) / rate;
        // Before the timer is set: else each of its ticks would come a little before what it is for is due, and all requests
        // would be sent a whole tick late.
        let began = Instant::now();
        // The runtime's own timers know whole milliseconds only.
        #[expect(
            deprecated,
            reason = "the other constructor is unsafe; here the descriptor lives and dies inside"
        )]
        let timer = AsyncFd::new(timer(interval)?)?;
        let queue = due.clone();
        spawn_local(async move {
            let mut next = began + interval;
            loop {
                let Ok(mut ready) = timer.readable().await else { return };
                // Only the clearing of the timer matters: the schedule is the clock's.
                let mut expirations = [0; 8];
                let _ = rustix::io::read(timer.get_ref(), &mut expirations);
                ready.clear_ready();
                let now = Instant::now();
                while next <= now {
                    queue.times.borrow_mut().push_back(next);
                    queue.more.notify_one();
                    next += interval;
                }
            }
        });
        Ok(Pace(Some(due)))
    }

    /// Waits for a request to be due, and tells since when it is.
    pub(super) async fn next(&self) -> Instant {
        let Some(due) = &self.0 else { return Instant::now() };
        loop {
            let time = due.times.borrow_mut().pop_front();
            match time {
                Some(time) => return time,
                None => due.more.notified().await,
            }
        }
    }
}

fn timer(interval: Duration) -> io::Result<rustix::fd::OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let every = Timespec {
        tv_sec: interval.as_secs().cast_signed(),
        tv_nsec: interval.subsec_nanos().into(),
    };
    let times = Itimerspec { it_interval: every, it_value: every };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_schedule_goes_on_while_nobody_asks() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let pace = Pace::open(2000).unwrap();
                let first = pace.next().await;
                // As a connection that waits for its answer does.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let resumed = Instant::now();
                let mut times = vec![first];
                while times.len() < 30 {
                    times.push(pace.next().await);
                }
                for two in times.windows(2) {
                    assert_eq!(two[1] - two[0], Duration::from_micros(500));
                }
                assert!(times[1] < resumed, "what was due meanwhile keeps its time");
            })
            .await;
    }

    #[tokio::test]
    async fn what_is_due_is_not_kept_until_the_next_tick() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let pace = Pace::open(50).unwrap();
                // One that the machine did not delay is enough.
                for _ in 0..20 {
                    if pace.next().await.elapsed() < Duration::from_millis(10) {
                        return;
                    }
                }
                panic!("each was half a tick late at least");
            })
            .await;
    }

    #[tokio::test]
    async fn a_closed_loop_does_not_wait() {
        let before = Instant::now();
        assert!(Pace::closed().next().await >= before);
    }
}
