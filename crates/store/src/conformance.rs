//! What every backend must do, as one suite: [`run`] takes a way to make an empty store and panics at the first
//! case that does not hold. A new backend calls it from a test of its own.

mod json;
mod watches;
mod writes;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

pub use self::json::JsonCodec;
use crate::key::Key;
use crate::store::{Entry, Event, Store};
use crate::watch::Watch;

/// How long an event may take before a case counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An empty store, and what must live as long as it does (a temporary directory, a server).
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// Dropped after the store.
    pub keep: Box<dyn Any + Send>,
}

impl Fixture {
    /// A store that needs nothing beside it.
    pub fn new(store: impl Store) -> Self {
        Self::keeping(store, ())
    }

    /// A store with something that must outlive it.
    pub fn keeping(store: impl Store, keep: impl Any + Send) -> Self {
        Self { store: Arc::new(store), keep: Box::new(keep) }
    }
}

/// Runs every case, each over a store of its own.
///
/// # Panics
/// When the backend does not conform; the message names the case's expectation.
pub async fn run<F, Fut>(open: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Fixture>,
{
    writes::create_once(&*open().await.store).await;
    writes::replace_only_what_was_read(&*open().await.store).await;
    writes::delete_only_what_was_read(&*open().await.store).await;
    writes::born_again(&*open().await.store).await;
    writes::list_by_kind_and_namespace(&*open().await.store).await;
    writes::unusable_keys(&*open().await.store).await;
    writes::large_values(&*open().await.store).await;
    writes::concurrent_counters(open().await.store).await;
    watches::order(&*open().await.store).await;
    watches::selection(&*open().await.store).await;
    watches::resume(&*open().await.store).await;
    watches::unknown_versions(&*open().await.store).await;
    watches::progress(&*open().await.store).await;
    watches::concurrent_watchers(open().await.store).await;
}

/// A key in the namespace `default` of a group that stands for all.
fn widget(name: &str) -> Key {
    Key::new("conformance.meltemi.io", "widgets", Some("default"), name)
}

/// An object that any codec can carry, with a size of its own.
fn object(key: &Key, size: impl Into<Value>) -> Bytes {
    let kind = key.plural().strip_suffix('s').unwrap_or(key.plural());
    let version =
        if key.group().is_empty() { "v1".to_owned() } else { format!("{}/v1", key.group()) };
    let mut value = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": key.name},
        "spec": {"size": size.into()},
    });
    if let Some(namespace) = &key.namespace {
        value["metadata"]["namespace"] = json!(namespace);
    }
    Bytes::from(value.to_string())
}

/// The size that [`object`] was given.
fn size(value: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(value).expect("values come back as JSON");
    value["spec"]["size"].clone()
}

/// The next event, in time.
async fn next(watch: &mut Watch) -> Event {
    let event = tokio::time::timeout(PATIENCE, watch.next()).await;
    event.expect("an event arrives in time").expect("the watch goes on")
}

/// The next event, which must be a change of this object; returns it with the value before.
async fn next_put(watch: &mut Watch, key: &Key) -> (Entry, Option<Bytes>) {
    match next(watch).await {
        Event::Put { entry, previous } if entry.key == *key => (entry, previous),
        other => panic!("expected a put of {key}, found {other:?}"),
    }
}
