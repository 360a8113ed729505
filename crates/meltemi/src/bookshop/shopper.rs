//! `shopper`: looks at one book after the other, so many a second whether answers come or not, and reports what it saw.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::books::BOOKS;
use super::call::{self, Caller};
use super::load::Load;
use super::pace::Pace;
use super::serve::Stop;
use super::{BookshopError, base};

/// How many requests may be under way. One that is due and has to wait for an earlier one is counted as slow, not left
/// out.
const UNDER_WAY: usize = 1024;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// Where the shop is, `http://HOST:PORT`.
    pub storefront: String,
    /// Requests a second.
    pub rate: NonZeroU32,
    /// How long; without it until told to end.
    pub duration: Option<Duration>,
    /// Where the figures go, as JSON; without it to standard output.
    pub report: Option<PathBuf>,
}

impl Shopper {
    /// Sends requests until the time is over or it is told to end, and waits for the last answer.
    pub async fn run(self) -> Result<(), BookshopError> {
        let stop = Stop::on_signals()?;
        let visit = Arc::new(Visit {
            caller: Caller::from_environment()?,
            storefront: base("storefront", &self.storefront)?,
        });
        let started = Instant::now();
        let load = self.send(stop, &visit).await?;
        let report = load.report(started.elapsed());
        let text = serde_json::to_string(&report).unwrap_or_default();
        match &self.report {
            Some(path) => write(path, &text),
            None => {
                println!("{text}");
                Ok(())
            }
        }
    }

    async fn send(&self, stop: Stop, visit: &Arc<Visit>) -> Result<Load, BookshopError> {
        let refused = |reason| BookshopError::System { what: "use a timer", reason };
        let interval = Duration::from_secs(1) / self.rate.get();
        let wanted = self.duration.map_or(u64::MAX, |duration| {
            let count = duration.as_nanos() / interval.as_nanos().max(1);
            u64::try_from(count).unwrap_or(u64::MAX)
        });
        let (mut load, mut visits) = (Load::new(), JoinSet::new());
        let (mut sent, mut owed) = (0, 0);
        let pace = Pace::start(interval).map_err(refused)?;
        let mut stopped = std::pin::pin!(stop.wait());
        while sent < wanted {
            while owed > 0 && visits.len() < UNDER_WAY {
                visits.spawn(visit.clone().make(sent, pace.time_of(sent)));
                (sent, owed) = (sent + 1, owed - 1);
            }
            tokio::select! {
                due = pace.due(), if owed == 0 && sent < wanted => {
                    owed = due.map_err(refused)?.min(wanted - sent);
                }
                Some(Ok(seen)) = visits.join_next() => load.count(seen.latency, seen.outcome),
                () = &mut stopped => break,
            }
        }
        while let Some(seen) = visits.join_next().await {
            let Ok(seen) = seen else { continue };
            load.count(seen.latency, seen.outcome);
        }
        Ok(load)
    }
}

/// What every request needs.
#[derive(Debug)]
struct Visit {
    caller: Caller,
    storefront: Uri,
}

/// How a request went.
struct Seen {
    latency: Duration,
    outcome: Result<(), String>,
}

impl Visit {
    /// Looks at a book. Latency counts from when the request was due: a request that had to wait is as slow as it seems to
    /// who waits for it.
    async fn make(self: Arc<Self>, n: u64, due: Instant) -> Seen {
        let book = BOOKS[(n % BOOKS.len() as u64) as usize].id;
        let url = call::at(&self.storefront, &format!("/books/{book}"));
        let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("shopper"))]);
        let outcome = match timeout(PATIENCE, self.caller.fetch(&url, headers)).await {
            Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(()),
            Ok(Ok(response)) => Err(response.status().as_str().to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        Seen { latency: due.elapsed(), outcome }
    }
}

/// Writes a file that is there in full or not at all.
fn write(path: &Path, text: &str) -> Result<(), BookshopError> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|reason| BookshopError::Report { path: path.to_owned(), reason })
}
