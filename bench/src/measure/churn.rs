//! A turn under changes: a window at the fixed rate without any, then one in which the configuration changes all the
//! time.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{MIB, Turn};
use crate::contestant::change::Changer;
use crate::error::BenchError;
use crate::figures::Figure;

/// How long the proxy may take to tell what it has taken up.
const TELL: Duration = Duration::from_secs(10);

impl Turn<'_> {
    /// Both windows. Only the first for whoever has no configuration.
    pub(super) async fn churn(&mut self) -> Result<(), BenchError> {
        let rate = self.options.rate();
        let (seen, cpu) = self.window(rate).await?;
        self.price(Figure::CpuUsPerRequestAtRate, cpu, seen.requests as f64);
        self.latencies(&seen, [Figure::P50Ms, Figure::P99Ms, Figure::P999Ms]);
        self.samples.push(Figure::FailedQuiet, seen.errors as f64);
        let Some(changer) = self.contestant.changer.clone() else { return Ok(()) };
        let name = self.contestant.kind.name();
        let refused = BenchError::system(format!("change the configuration of {name}"));
        let applied = told(&changer).await?;
        let (wanted, changes, began) = (self.options.changes, Cell::new(0), Instant::now());
        let outcome = tokio::select! {
            outcome = self.window(rate) => outcome,
            error = change(&changer, wanted, &changes) => Err(refused(error)),
        };
        let (seen, cpu) = outcome?;
        let seconds = began.elapsed().as_secs_f64();
        if let (Some(before), Some(after)) = (applied, told(&changer).await?) {
            let applied = after.saturating_sub(before) as f64;
            self.samples.push(Figure::AppliedPerSecond, applied / seconds);
        }
        self.samples.push(Figure::ChangesPerSecond, changes.get() as f64 / seconds);
        self.price(Figure::CpuUsPerRequestChanging, cpu, seen.requests as f64);
        let latencies = [Figure::P50ChangingMs, Figure::P99ChangingMs, Figure::P999ChangingMs];
        self.latencies(&seen, latencies);
        self.samples.push(Figure::FailedChanging, seen.errors as f64);
        self.samples.push(Figure::MemoryMib, self.contestant.path_memory() as f64 / MIB);
        Ok(())
    }
}

async fn told(changer: &Changer) -> Result<Option<u64>, BenchError> {
    let told = timeout(TELL, changer.applied()).await;
    let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    told.map_err(BenchError::system("read what the proxy has taken up"))
}

/// Makes changes at a fixed rate until it is dropped; gives the error that ends them. A change that takes long delays
/// those of its own lane only, and they are made up for.
async fn change(changer: &Changer, rate: u32, made: &Cell<u64>) -> io::Error {
    let lanes = changer.lanes().max(1);
    let every = Duration::from_secs(1) / rate;
    let mut running = Vec::new();
    for lane in 0..lanes {
        running.push(Box::pin(async move {
            let each = every * u32::try_from(lanes).unwrap_or(u32::MAX);
            let mut ticks = interval(each);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut number = 0;
            let due = async || {
                // Asking for the next one says that the one before was accepted.
                if number > 0 {
                    made.set(made.get() + 1);
                }
                number += 1;
                ticks.tick().await;
                number
            };
            changer.run(lane, due).await
        }));
    }
    poll_fn(|cx| {
        for lane in &mut running {
            if let Poll::Ready(outcome) = lane.as_mut().poll(cx) {
                let ended = || io::Error::other("the changes ended");
                return Poll::Ready(outcome.err().unwrap_or_else(ended));
            }
        }
        Poll::Pending
    })
    .await
}
