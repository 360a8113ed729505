//! A store that notes what is changed in it.

use std::sync::Arc;

use bytes::Bytes;
use meltemi_store::{BoxFuture, Entry, Expect, Key, Listing, Result, Selector, Store, Watch};
use parking_lot::Mutex;
use serde_json::Value;

use crate::difference::difference;
use crate::event::Change;

/// What was changed so far; shared with whoever tells of it.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Mutex<Vec<Change>>>);

impl Changes {
    /// Notes a change of something that is in no store.
    pub fn note(&self, change: Change) {
        self.0.lock().push(change);
    }

    /// Takes what there is.
    pub fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock())
    }
}

/// A store as one caller sees it: the same objects, its changes noted.
#[derive(Clone)]
pub struct Recorded {
    store: Arc<dyn Store>,
    changes: Changes,
}

impl Recorded {
    /// Notes the changes made through this store.
    pub fn new(store: Arc<dyn Store>, changes: Changes) -> Self {
        Recorded { store, changes }
    }

    async fn before(&self, key: &Key) -> Result<Option<Value>> {
        let entry = self.store.get(key).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    fn note(&self, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        let verb = match (before, after) {
            (None, _) => "create",
            (_, Some(_)) => "update",
            (_, None) => "delete",
        };
        let difference = difference(key.plural(), before, after);
        self.changes.note(Change { object: key.into(), verb, difference });
    }
}

impl Store for Recorded {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.store.get(key)
    }

    fn list<'a>(&'a self, selector: &'a Selector) -> BoxFuture<'a, Result<Listing>> {
        self.store.list(selector)
    }

    fn watch<'a>(&'a self, selector: &'a Selector, from: u64) -> BoxFuture<'a, Result<Watch>> {
        self.store.watch(selector, from)
    }

    fn put(&self, key: Key, value: Bytes, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let before = self.before(&key).await?;
            let version = self.store.put(key.clone(), value.clone(), expect).await?;
            let after = serde_json::from_slice(&value).ok();
            self.note(&key, before.as_ref(), after.as_ref());
            Ok(version)
        })
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let before = self.before(&key).await?;
            let version = self.store.delete(key.clone(), expect).await?;
            self.note(&key, before.as_ref(), None);
            Ok(version)
        })
    }
}

#[cfg(test)]
mod tests {
    use meltemi_store::MemoryStore;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn changes_are_noted_and_failures_are_not() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let changes = Changes::default();
        let recorded = Recorded::new(store, changes.clone());
        let key = Key::new("", "services", Some("shop"), "web");
        let put = |port: u16, expect| {
            let object = json!({"spec": {"port": port}});
            recorded.put(key.clone(), Bytes::from(object.to_string()), expect)
        };
        put(80, Expect::Absent).await.unwrap();
        put(81, Expect::Absent).await.unwrap_err();
        put(82, Expect::Any).await.unwrap();
        recorded.delete(key.clone(), Expect::Any).await.unwrap();
        recorded.delete(key.clone(), Expect::Any).await.unwrap_err();

        let noted = changes.take();
        let told: Vec<_> = noted
            .iter()
            .map(|it| (it.verb, it.difference[0].from.clone(), it.difference[0].to.clone()))
            .collect();
        let some = |port: u16| Some(json!(port));
        assert_eq!(
            told,
            [
                ("create", None, some(80)),
                ("update", some(80), some(82)),
                ("delete", some(82), None)
            ]
        );
        assert!(changes.take().is_empty());
    }
}
