//! A map whose copies share what did not change.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Into how many parts the map is cut. A change copies one part: of a thousand services, about sixteen pointers.
const SHARDS: usize = 64;

/// A hash map in parts that are copied when they are written to and shared else.
#[derive(Debug, Clone)]
pub struct Shards<K, V> {
    hasher: RandomState,
    parts: Vec<Arc<HashMap<K, V>>>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let parts = (0..SHARDS).map(|_| Arc::default()).collect();
        Shards { hasher: RandomState::new(), parts }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shards<K, V> {
    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.parts[self.place(key)].get(key)
    }

    /// Sets the value of a key; answers with the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.place(&key);
        Arc::make_mut(&mut self.parts[place]).insert(key, value)
    }

    /// Removes a key; answers with its value.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key);
        self.parts[place].contains_key(key).then_some(())?;
        Arc::make_mut(&mut self.parts[place]).remove(key)
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }

    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        (self.hasher.hash_one(key) % SHARDS as u64) as usize
    }
}
