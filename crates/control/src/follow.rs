//! The way of a change: from the store through the model to the publisher, at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use meltemi_discovery::Publisher;
use meltemi_model::{Change, Model, Object, Settings, Snapshot, read};
use meltemi_store::{Event, Key, Selector, Store, StoreError, Watch};

use crate::key_sets::KeyNews;

/// Changes taken together at most. Nothing is waited for: only what is there already is taken together.
const BATCH: usize = 512;
/// The wait before a store that failed is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Keeps the model in step with the store, and publishes every step.
pub(crate) struct Follower {
    store: Arc<dyn Store>,
    publisher: Arc<Publisher>,
    model: Model,
    settings: Settings,
    shown: Arc<Snapshot>,
    keys: KeyNews,
}

impl Follower {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        publisher: Arc<Publisher>,
        settings: Settings,
        keys: KeyNews,
    ) -> Self {
        let model = Model::new(settings.clone());
        Follower { store, publisher, model, settings, shown: Arc::default(), keys }
    }

    /// Takes in the store as it stands: everything that is there, and nothing that is not. Answers with its version.
    pub(crate) async fn list(&mut self) -> Result<u64, StoreError> {
        let listing = self.store.list(&Selector::all()).await?;
        let mut gone: BTreeSet<Object> = self.model.objects();
        gone.extend(self.shown.rejected().keys().cloned());
        let mut changes = Vec::new();
        for entry in &listing.entries {
            let Some(object) = object(&entry.key) else { continue };
            gone.remove(&object);
            changes.push(self.put(object, &entry.value));
        }
        changes.extend(gone.into_iter().map(Change::Remove));
        // Together with the rules that want them: no proxy is told of a rule without keys that are known.
        let kept = std::mem::take(&mut self.keys.kept);
        changes.extend(kept.into_iter().map(|(source, keys)| Change::Keys(source, keys)));
        self.publish(listing.version, changes);
        Ok(listing.version)
    }

    /// Follows the store from `version` on, until it is closed.
    pub(crate) async fn run(mut self, mut version: u64) {
        loop {
            match self.follow(version).await {
                StoreError::Closed => return,
                StoreError::Expired { .. } => {
                    tracing::info!("the store's history was passed over; reading all of it anew");
                }
                error => {
                    tracing::warn!(%error, "the store cannot be followed; trying again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
            version = loop {
                match self.list().await {
                    Ok(version) => break version,
                    Err(StoreError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%error, "the store cannot be read; trying again");
                        tokio::time::sleep(ASK_AGAIN).await;
                    }
                }
            };
        }
    }

    /// Follows one watch until it breaks.
    async fn follow(&mut self, mut version: u64) -> StoreError {
        let mut watch = match self.store.watch(&Selector::all(), version).await {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        loop {
            let (events, broken) = tokio::select! {
                next = next_events(&mut watch) => next,
                Some((source, keys)) = self.keys.found.recv() => {
                    self.publish(version, vec![Change::Keys(source, keys)]);
                    continue;
                }
            };
            if let Some(last) = events.last().map(Event::version) {
                version = last;
                let changes = events.iter().filter_map(|event| self.change(event)).collect();
                self.publish(version, changes);
            }
            if let Some(error) = broken {
                return error;
            }
        }
    }

    fn change(&self, event: &Event) -> Option<Change> {
        let object = object(&event.entry().key)?;
        Some(match event {
            Event::Put { entry, .. } => self.put(object, &entry.value),
            Event::Deleted(_) => Change::Remove(object),
        })
    }

    fn put(&self, object: Object, value: &[u8]) -> Change {
        match serde_json::from_slice(value) {
            Ok(resource) => read::change(object, &resource, &self.settings),
            Err(error) => Change::Refuse(object, format!("it is not JSON: {error}")),
        }
    }

    fn publish(&mut self, version: u64, changes: Vec<Change>) {
        let (snapshot, affected) = self.model.apply(version, changes);
        self.publisher.publish(snapshot.clone(), &affected);
        report_rejected(&self.shown, &snapshot);
        let sources = self.model.key_sources();
        self.keys.wanted.send_if_modified(|wanted| {
            let is_other = *wanted != sources;
            *wanted = sources;
            is_other
        });
        self.shown = snapshot;
    }
}

/// The resource in the model's words, if it is of a kind that has an effect there.
fn object(key: &Key) -> Option<Object> {
    let kind = read::kind(key.group(), key.plural())?;
    Some(Object::new(kind, key.namespace.as_deref()?, &key.name))
}

/// Waits for the next change, and takes what is there with it; the error if the watch broke.
async fn next_events(watch: &mut Watch) -> (Vec<Event>, Option<StoreError>) {
    let mut events = Vec::new();
    let mut next = Some(watch.next().await);
    while let Some(result) = next {
        match result {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
        next = match events.len() < BATCH {
            true => watch.next().now_or_never(),
            false => None,
        };
    }
    (events, None)
}

/// Says which resources are set aside, once each.
fn report_rejected(before: &Snapshot, after: &Snapshot) {
    if std::ptr::eq(before.rejected(), after.rejected()) {
        return;
    }
    for (object, reason) in after.rejected() {
        if before.rejected().get(object) != Some(reason) {
            tracing::warn!(
                resource = %object, reason,
                "a resource, or a part of it, is set aside; what cannot be read leaves in effect what it was before"
            );
        }
    }
}

#[cfg(test)]
mod tests;
