//! The keys by which proxies verify tokens, fetched here for all of them (as istiod does by default), so that no proxy needs
//! a way out: at once when a rule names a source, then again and again, as issuers change their keys.
//!
//! What could be fetched once stays in use until something newer can be, over restarts too: it is kept in the state
//! directory. `allow` says which addresses are asked, `fetch` asks them.

mod allow;
mod fetch;
mod kept;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use meltemi_model::{FetchedKeys, KeySource};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

pub use allow::{JwksAllow, JwksAllowError};
use fetch::FetchError;
pub(crate) use fetch::Fetcher;

use crate::options::Options;

/// The wait after a first failure; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure (Istio's PILOT_JWT_PUB_KEY_REFRESH_INTERVAL after an error).
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// News that may wait for the follower.
const BACKLOG: usize = 64;

/// Sources, and how long each may take to answer.
type Sources = BTreeMap<KeySource, Duration>;
type Fetched = (KeySource, Result<String, FetchError>);

/// What is told of it in metrics.
#[derive(Debug, Default)]
pub(crate) struct KeyFigures {
    /// Fetches that brought a key set.
    pub(crate) fetched: AtomicU64,
    /// Fetches that failed.
    pub(crate) failed: AtomicU64,
    /// Sources that rules want and that have never been fetched.
    pub(crate) missing: AtomicU64,
}

/// The follower's end: what it wants, and what has come.
#[derive(Debug)]
pub(crate) struct KeyNews {
    pub(crate) wanted: watch::Sender<Sources>,
    pub(crate) found: mpsc::Receiver<(KeySource, FetchedKeys)>,
    /// What was fetched before the start.
    pub(crate) kept: Vec<(KeySource, FetchedKeys)>,
}

/// Keeps the key sets that rules want.
#[derive(Debug)]
pub(crate) struct KeySets {
    wanted: watch::Receiver<Sources>,
    found: mpsc::Sender<(KeySource, FetchedKeys)>,
    fetcher: Arc<Fetcher>,
    refresh: Duration,
    file: PathBuf,
    known: BTreeMap<KeySource, Arc<str>>,
    figures: Arc<KeyFigures>,
}

/// The tasks that fetch, one a source.
struct Tasks {
    running: HashMap<KeySource, (Duration, AbortHandle)>,
    all: JoinSet<()>,
    fetched: mpsc::Sender<Fetched>,
}

impl KeySets {
    /// Reads what was kept before. Nothing is fetched until it runs.
    pub(crate) fn open(options: &Options, state_dir: &Path) -> (KeySets, KeyNews) {
        let (wanted, of_wanted) = watch::channel(Sources::new());
        let (found, of_found) = mpsc::channel(BACKLOG);
        let file = kept::path(state_dir);
        let known = kept::read(&file).unwrap_or_else(|reason| {
            tracing::warn!(path = %file.display(), reason, "fetched keys of before cannot be used");
            BTreeMap::new()
        });
        let set = |(source, keys): (&KeySource, &Arc<str>)| {
            (source.clone(), FetchedKeys::Set(keys.clone()))
        };
        let kept = known.iter().map(set).collect();
        let key_sets = KeySets {
            wanted: of_wanted,
            found,
            fetcher: Arc::new(Fetcher::new(&options.jwks_allow)),
            refresh: options.jwks_refresh,
            file,
            known,
            figures: Arc::default(),
        };
        (key_sets, KeyNews { wanted, found: of_found, kept })
    }

    /// What it counts.
    pub(crate) fn figures(&self) -> Arc<KeyFigures> {
        self.figures.clone()
    }

    /// Fetches what is wanted, until nobody wants anything any more.
    pub(crate) async fn run(mut self) {
        let (fetched, mut results) = mpsc::channel(BACKLOG);
        let mut tasks = Tasks { running: HashMap::new(), all: JoinSet::new(), fetched };
        loop {
            self.follow(&mut tasks).await;
            let next = loop {
                self.count_missing();
                tokio::select! {
                    changed = self.wanted.changed() => break changed,
                    Some((source, result)) = results.recv() => self.take_in(source, result).await,
                    Some(_) = tasks.all.join_next() => {}
                }
            };
            if next.is_err() {
                return;
            }
        }
    }

    /// Brings the tasks in line with what is wanted.
    async fn follow(&mut self, tasks: &mut Tasks) {
        let wanted = self.wanted.borrow_and_update().clone();
        tasks.running.retain(|source, (timeout, task)| {
            let is_wanted = wanted.get(source) == Some(timeout);
            if !is_wanted {
                task.abort();
            }
            is_wanted
        });
        let before = self.known.len();
        self.known.retain(|source, _| wanted.contains_key(source));
        if self.known.len() != before {
            self.keep().await;
        }
        for (source, timeout) in wanted {
            if let Some(keys) = self.known.get(&source) {
                // The rule that named it may have been away for a moment, and its keys with it.
                self.tell(&source, FetchedKeys::Set(keys.clone())).await;
            }
            if !tasks.running.contains_key(&source) {
                let (fetcher, fetched) = (self.fetcher.clone(), tasks.fetched.clone());
                let task = fetch_for_ever(fetcher, source.clone(), timeout, self.refresh, fetched);
                tasks.running.insert(source, (timeout, tasks.all.spawn(task)));
            }
        }
    }

    fn count_missing(&self) {
        let wanted = self.wanted.borrow();
        let missing = wanted.keys().filter(|source| !self.known.contains_key(source)).count();
        self.figures.missing.store(missing as u64, Relaxed);
    }

    async fn take_in(&mut self, source: KeySource, result: Result<String, FetchError>) {
        if !self.wanted.borrow().contains_key(&source) {
            return;
        }
        let counter = if result.is_ok() { &self.figures.fetched } else { &self.figures.failed };
        counter.fetch_add(1, Relaxed);
        let known = self.known.get(&source);
        match result {
            Ok(keys) if known.is_some_and(|known| **known == *keys) => {}
            Ok(keys) => {
                tracing::info!(%source, "keys for tokens were fetched");
                let keys: Arc<str> = keys.into();
                self.known.insert(source.clone(), keys.clone());
                self.tell(&source, FetchedKeys::Set(keys)).await;
                self.keep().await;
            }
            Err(error) if known.is_some() => {
                tracing::warn!(%source, %error, "keys for tokens cannot be fetched; those of before stay in use");
            }
            Err(error) => {
                tracing::warn!(%source, %error, "keys for tokens cannot be fetched; all tokens of this issuer are refused");
                self.tell(&source, FetchedKeys::Failed(error.to_string())).await;
            }
        }
    }

    async fn tell(&self, source: &KeySource, keys: FetchedKeys) {
        // The follower is gone only when all of the control plane is.
        drop(self.found.send((source.clone(), keys)).await);
    }

    async fn keep(&self) {
        let (file, known) = (self.file.clone(), self.known.clone());
        let written = tokio::task::spawn_blocking(move || kept::write(&file, &known)).await;
        if let Ok(Err(error)) = written {
            let path = self.file.display();
            tracing::warn!(%path, %error, "fetched keys could not be kept; a restart would not know them");
        }
    }
}

/// Fetches a source's keys now and from time to time.
async fn fetch_for_ever(
    fetcher: Arc<Fetcher>,
    source: KeySource,
    timeout: Duration,
    refresh: Duration,
    fetched: mpsc::Sender<Fetched>,
) {
    let mut retry = FIRST_WAIT;
    loop {
        let result = fetcher.fetch(&source, timeout).await;
        let wait = match &result {
            // Not all control planes and sources at the same moment.
            Ok(_) => refresh.mul_f64(rand::random_range(0.9..=1.0)),
            Err(_) => retry.min(refresh),
        };
        retry = if result.is_ok() { FIRST_WAIT } else { (retry * 2).min(LONGEST_WAIT) };
        if fetched.send((source.clone(), result)).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
