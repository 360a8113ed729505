//! Get and list.

use std::ops::Bound;

use axum::response::Response;
use http::StatusCode;
use meltemi_api::Kind;
use meltemi_store::{Entry, Key, Listing, Store};
use serde_json::json;

use crate::authorize::built_in;
use crate::object::answer;
use crate::query::Parameters;
use crate::shape::Shape;
use crate::status::{Failure, json_response};
use crate::target::Target;

/// One object.
pub(crate) async fn get(
    store: &dyn Store,
    target: &Target,
    name: &str,
    parameters: &Parameters,
    shape: Shape,
) -> Result<Response, Failure> {
    let key = target.key(name);
    let entry = match built_in::entry(&key) {
        Some(entry) => entry,
        None => store.get(&key).await?.ok_or_else(|| Failure::not_found(&key))?,
    };
    let object = answer(target, &entry)?;
    Ok(json_response(StatusCode::OK, &shape.one(target, parameters, object)))
}

/// The objects of a kind, in a namespace or in all, a page of them if a limit was given.
///
/// Pages after the first show the store as it is when they are read, under the version of the first page: a watch
/// from that version tells every change that a page may have missed or shown early.
pub(crate) async fn list(
    store: &dyn Store,
    target: &Target,
    parameters: &Parameters,
    shape: Shape,
) -> Result<Response, Failure> {
    let matcher = parameters.matcher()?;
    let Listing { mut entries, version } = store.list(&target.selector()).await?;
    if target.kind == Kind::ClusterRole {
        entries.retain(|entry| built_in::entry(&entry.key).is_none());
        entries.extend(built_in::entries());
        entries.sort_by(|a, b| a.key.cmp(&b.key));
    }
    if let Some(exact) = parameters.exact()?.filter(|exact| *exact != version) {
        return Err(Failure::expired(format!(
            "version {exact} is not kept: the store is at {version}"
        )));
    }
    let (version, after) = match Continuation::parse(&parameters.continuation)? {
        Some(continuation) => (continuation.version, Bound::Excluded(continuation.last)),
        None => (version, Bound::Unbounded),
    };
    let behind = |entry: &Entry| match &after {
        Bound::Excluded(last) => {
            (entry.key.namespace.as_deref(), entry.key.name.as_str()) > last.place()
        }
        _ => true,
    };
    let limit = parameters.limit()?.unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut next = None;
    let mut remaining = 0_u64;
    for entry in entries.iter().filter(|entry| behind(entry)) {
        let object = answer(target, entry)?;
        if !matcher.matches(&object) {
            continue;
        }
        if items.len() < limit {
            items.push(object);
            next = Some(&entry.key);
        } else {
            remaining += 1;
        }
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(last) = next.filter(|_| remaining > 0) {
        metadata["continue"] = json!(Continuation { version, last: Place::of(last) }.to_string());
        // With a selector, Kubernetes does not count what remains.
        if matcher.is_empty() {
            metadata["remainingItemCount"] = json!(remaining);
        }
    }
    Ok(json_response(StatusCode::OK, &shape.many(target, parameters, items, metadata)))
}

/// An object's place within the list of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    namespace: Option<String>,
    name: String,
}

impl Place {
    fn of(key: &Key) -> Self {
        Self { namespace: key.namespace.clone(), name: key.name.clone() }
    }

    fn place(&self) -> (Option<&str>, &str) {
        (self.namespace.as_deref(), &self.name)
    }
}

/// Where the next page begins. Clients hand it back as it was; it holds nothing but names and a version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Continuation {
    version: u64,
    last: Place,
}

impl Continuation {
    fn parse(text: &str) -> Result<Option<Self>, Failure> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut parts = text.splitn(3, '_');
        let version = parts.next().and_then(|version| version.parse().ok());
        let (Some(version), Some(namespace), Some(name)) = (version, parts.next(), parts.next())
        else {
            return Err(Failure::bad_request("continue: not a token of this server"));
        };
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Ok(Some(Self { version, last: Place { namespace, name: name.to_owned() } }))
    }
}

impl std::fmt::Display for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither namespaces nor names hold an underscore.
        write!(
            f,
            "{}_{}_{}",
            self.version,
            self.last.namespace.as_deref().unwrap_or_default(),
            self.last.name
        )
    }
}
