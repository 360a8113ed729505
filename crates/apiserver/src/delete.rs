//! Delete of one object or of all that match, with preconditions; a namespace takes along what is in it.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use meltemi_names::{DEFAULT_NAMESPACE, ROOT_NAMESPACE};
use meltemi_store::{Entry, Expect, Key, Selector, Store, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::authorize::built_in;
use crate::object::{answer, has_finalizers};
use crate::query::{Parameters, is_dry_run};
use crate::shape::Shape;
use crate::status::{Failure, json_response};
use crate::target::Target;
use meltemi_audit::timestamp;

/// How often a deletion is tried anew when another writer was faster.
const RETRIES: usize = 8;

/// The body of a deletion; what is not known is passed over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Options {
    preconditions: Preconditions,
    dry_run: Vec<String>,
}

/// What the object must be for it to be deleted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Options {
    /// Reads a body, which may be empty.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Failure> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body)
            .map_err(|error| Failure::bad_request(format!("DeleteOptions: {error}")))
    }

    fn dry_run(&self, parameters: &Parameters) -> Result<bool, Failure> {
        let stages =
            self.dry_run.iter().map(|stage| is_dry_run(stage)).collect::<Result<Vec<_>, _>>()?;
        Ok(parameters.dry_run()? || stages.contains(&true))
    }
}

/// `DELETE` of one object.
pub(crate) async fn one(
    store: &dyn Store,
    target: &Target,
    name: &str,
    parameters: &Parameters,
    options: &Options,
) -> Result<Response, Failure> {
    let key = target.key(name);
    check_may_go(&key)?;
    let dry_run = options.dry_run(parameters)?;
    for _ in 0..RETRIES {
        let entry = store.get(&key).await?.ok_or_else(|| Failure::not_found(&key))?;
        let object = answer(target, &entry)?;
        check_preconditions(&key, &object, &options.preconditions)?;
        if is_namespace(&key) && !dry_run {
            empty(store, name).await?;
        }
        match remove(store, &entry, &object, dry_run).await {
            Ok(true) => {
                if is_namespace(&key) && !dry_run {
                    // What was created while the namespace was being emptied.
                    empty(store, name).await?;
                }
                return Ok(json_response(StatusCode::OK, &gone(&key, &object)));
            }
            // It waits for its finalizers: the object itself is the answer.
            Ok(false) => {
                let entry = store.get(&key).await?.unwrap_or(entry);
                return Ok(json_response(StatusCode::OK, &answer(target, &entry)?));
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::conflict(&key, "other writers were faster every time; please try again"))
}

/// `DELETE` of a kind: all objects that match.
pub(crate) async fn collection(
    store: &dyn Store,
    target: &Target,
    parameters: &Parameters,
    options: &Options,
) -> Result<Response, Failure> {
    let matcher = parameters.matcher()?;
    let dry_run = options.dry_run(parameters)?;
    let listing = store.list(&target.selector()).await?;
    let mut items = Vec::new();
    for entry in listing.entries {
        let object = answer(target, &entry)?;
        if !matcher.matches(&object) || check_may_go(&entry.key).is_err() {
            continue;
        }
        if is_namespace(&entry.key) && !dry_run {
            empty(store, &entry.key.name).await?;
        }
        match remove(store, &entry, &object, dry_run).await {
            Ok(_) => items.push(object),
            // Changed or gone since the list: as if it had come, or gone, a moment later.
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let metadata = json!({"resourceVersion": listing.version.to_string()});
    Ok(json_response(StatusCode::OK, &Shape::Whole.many(target, parameters, items, metadata)))
}

/// Deletes the object, or marks it if it has finalizers; tells whether it is gone.
async fn remove(
    store: &dyn Store,
    entry: &Entry,
    object: &Value,
    dry_run: bool,
) -> Result<bool, StoreError> {
    let expect = Expect::Version(entry.version);
    if !has_finalizers(object) {
        if !dry_run {
            store.delete(entry.key.clone(), expect).await?;
        }
        return Ok(true);
    }
    if !dry_run && object.pointer("/metadata/deletionTimestamp").is_none() {
        let mut marked: Value =
            serde_json::from_slice(&entry.value).unwrap_or_else(|_| object.clone());
        marked["metadata"]["deletionTimestamp"] = json!(timestamp::format(timestamp::now()));
        store.put(entry.key.clone(), Bytes::from(marked.to_string()), expect).await?;
    }
    Ok(false)
}

/// Deletes all that lives in a namespace that is about to go.
async fn empty(store: &dyn Store, namespace: &str) -> Result<(), Failure> {
    let selector = Selector { kind: None, namespace: Some(namespace.to_owned()) };
    for entry in store.list(&selector).await?.entries {
        match store.delete(entry.key, Expect::Any).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_namespace(key: &Key) -> bool {
    key.group().is_empty() && key.plural() == "namespaces"
}

/// The two namespaces on which the mesh stands do not go.
fn check_may_go(key: &Key) -> Result<(), Failure> {
    built_in::check_stays(key)?;
    if is_namespace(key) && [DEFAULT_NAMESPACE, ROOT_NAMESPACE].contains(&key.name.as_str()) {
        let message =
            format!("namespaces {:?} is forbidden: this namespace may not be deleted", key.name);
        return Err(Failure { about: Some(Box::new(key.clone())), ..Failure::forbidden(message) });
    }
    Ok(())
}

fn check_preconditions(key: &Key, object: &Value, wanted: &Preconditions) -> Result<(), Failure> {
    for (pointer, wanted) in
        [("/metadata/uid", &wanted.uid), ("/metadata/resourceVersion", &wanted.resource_version)]
    {
        let found = object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let why = format!("Precondition failed: {pointer} is {found:?}, not {wanted:?}");
            return Err(Failure::conflict(key, &why));
        }
    }
    Ok(())
}

/// The answer to a deletion that is done.
fn gone(key: &Key, object: &Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": key.name,
            "group": key.group(),
            "kind": key.plural(),
            "uid": object.pointer("/metadata/uid"),
        },
    })
}
