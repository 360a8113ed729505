//! What an object is found by, and what a list or a watch is narrowed to.

use std::fmt;
use std::ops::Bound;

use crate::error::{Result, StoreError};

/// The kind part of a [`Key`]: `GROUP/PLURAL`, as in `networking.istio.io/virtualservices`. The core group is
/// empty, so a `Service` is `/services`.
pub fn kind(group: &str, plural: &str) -> String {
    format!("{group}/{plural}")
}

/// Where an object is kept. Keys sort by kind, then namespace, then name; lists are answered in that order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `GROUP/PLURAL`; see [`kind`].
    pub kind: String,
    /// `None` for a kind that lives outside of namespaces.
    pub namespace: Option<String>,
    /// The object's name, unique within kind and namespace.
    pub name: String,
}

impl Key {
    /// A key from its parts; `group` is empty for the core group.
    pub fn new(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            kind: kind(group, plural),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.kind.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// The plural word of the kind, as in URLs.
    pub fn plural(&self) -> &str {
        self.kind.rsplit_once('/').map_or(self.kind.as_str(), |(_, plural)| plural)
    }

    /// Refuses parts that cannot be kept by every backend: empty ones, and those that would leave the
    /// directory of a directory store or end its separators.
    pub(crate) fn check(&self) -> Result<()> {
        let plain = |part: &str| {
            !part.is_empty()
                && part.len() <= 253
                && !part.starts_with('.')
                && !part.contains(['/', '\\'])
                && !part.contains(char::is_control)
        };
        let group = self.group();
        let good = plain(self.plural())
            && (group.is_empty() || plain(group))
            && self.namespace.as_deref().is_none_or(plain)
            && plain(&self.name);
        if good { Ok(()) } else { Err(StoreError::InvalidKey { key: self.clone() }) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural())?;
        if !self.group().is_empty() {
            write!(f, ".{}", self.group())?;
        }
        f.write_str(" ")?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Narrows a list or a watch; the default takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Only objects of this kind; see [`kind`].
    pub kind: Option<String>,
    /// Only objects in this namespace.
    pub namespace: Option<String>,
}

impl Selector {
    /// Everything in the store.
    pub fn all() -> Self {
        Self::default()
    }

    /// All objects of a kind, in every namespace.
    pub fn kind(kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), namespace: None }
    }

    /// The same selector within one namespace.
    #[must_use]
    pub fn within(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Whether an object of this key is wanted.
    pub fn matches(&self, key: &Key) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == key.kind)
            && self.namespace.as_ref().is_none_or(|ns| key.namespace.as_ref() == Some(ns))
    }

    /// The first key that can match, for scans over keys in order.
    pub(crate) fn start(&self) -> Bound<Key> {
        match &self.kind {
            None => Bound::Unbounded,
            Some(kind) => Bound::Included(Key {
                kind: kind.clone(),
                namespace: self.namespace.clone(),
                name: String::new(),
            }),
        }
    }

    /// Whether a scan in key order that stands at `key` can still find a match at or after it.
    pub(crate) fn may_follow(&self, key: &Key) -> bool {
        match (&self.kind, &self.namespace) {
            (None, _) => true,
            (Some(kind), None) => key.kind == *kind,
            (Some(kind), Some(_)) => key.kind == *kind && key.namespace <= self.namespace,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = Key> {
        ("[ab]?/[ab]", proptest::option::of("[ab]{1,2}"), "[ab]{1,2}")
            .prop_map(|(kind, namespace, name)| Key { kind, namespace, name })
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        (proptest::option::of("[ab]?/[ab]"), proptest::option::of("[ab]{1,2}"))
            .prop_map(|(kind, namespace)| Selector { kind, namespace })
    }

    proptest! {
        /// The scan over keys in order finds exactly what a look at every key finds.
        #[test]
        fn scans_miss_nothing(keys in prop::collection::btree_set(any_key(), 0..40), selector in any_selector()) {
            let all: BTreeSet<&Key> = keys.iter().filter(|key| selector.matches(key)).collect();
            let scanned: BTreeSet<&Key> = keys
                .range((selector.start(), Bound::Unbounded))
                .take_while(|key| selector.may_follow(key))
                .filter(|key| selector.matches(key))
                .collect();
            prop_assert_eq!(all, scanned);
        }
    }

    #[test]
    fn names_as_kubernetes_writes_them() {
        let key = Key::new("networking.istio.io", "virtualservices", Some("shop"), "reviews");
        assert_eq!(key.to_string(), "virtualservices.networking.istio.io shop/reviews");
        assert_eq!((key.group(), key.plural()), ("networking.istio.io", "virtualservices"));
        let key = Key::new("", "namespaces", None, "shop");
        assert_eq!(
            (key.to_string(), key.kind.as_str()),
            ("namespaces shop".to_owned(), "/namespaces")
        );
    }
}
