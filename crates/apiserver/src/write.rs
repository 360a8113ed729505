//! Create, replace, patch and apply: one way from a body to a committed object.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use meltemi_api::Kind;
use meltemi_api::defaults::fill;
use meltemi_api::rbac::GROUP as RBAC;
use meltemi_names::is_dns_subdomain;
use meltemi_store::{Entry, Expect, Key, Store, StoreError};
use serde_json::Value;

use crate::apply;
use crate::authorize::built_in;
use crate::caller::Caller;
use crate::object::{answer_as, begin, encode, is_finished, place, succeed};
use crate::patch::{PatchType, patched};
use crate::query::Parameters;
use crate::status::{Cause, Failure, json_response};
use crate::target::Target;

/// How often a change is made anew when another writer was faster and the caller did not insist on a version.
const RETRIES: usize = 8;

/// `POST` to a kind.
pub(crate) async fn create(
    caller: &Caller,
    target: &Target,
    parameters: &Parameters,
    mut value: Value,
) -> Result<Response, Failure> {
    let key = place(target, &mut value)?;
    if value
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .is_some_and(|version| !version.is_empty())
    {
        return Err(Failure::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    insert(caller, target, key, value, parameters.dry_run()?).await
}

/// Stores a placed object as a new one.
async fn insert(
    caller: &Caller,
    target: &Target,
    key: Key,
    mut value: Value,
    dry_run: bool,
) -> Result<Response, Failure> {
    check_namespace(&*caller.store, target).await?;
    begin(&mut value)?;
    fill(target.kind, &mut value);
    if target.kind.plural() == "namespaces" && target.kind.group().is_empty() {
        check_namespace_name(&key)?;
    }
    caller.admit(target, &value).await?;
    let bytes = Bytes::from(encode(target, &key, &value)?);
    let version = if dry_run {
        if caller.store.get(&key).await?.is_some() {
            return Err(Failure::already_exists(&key));
        }
        0
    } else {
        caller.store.put(key.clone(), bytes.clone(), Expect::Absent).await?
    };
    Ok(json_response(StatusCode::CREATED, &answer_as(target, &key, &bytes, version)?))
}

/// 404 if the namespace that is written into is not there.
async fn check_namespace(store: &dyn Store, target: &Target) -> Result<(), Failure> {
    let Some(namespace) = &target.namespace else {
        if target.kind.namespaced() {
            let kind = target.kind.kind();
            return Err(Failure::bad_request(format!(
                "{kind} lives in a namespace: write to namespaces/NAMESPACE/..."
            )));
        }
        return Ok(());
    };
    let key = namespace_key(namespace);
    store.get(&key).await?.map(drop).ok_or_else(|| Failure::not_found(&key))
}

/// The key of a namespace.
pub(crate) fn namespace_key(name: &str) -> Key {
    Key::new("", "namespaces", None, name)
}

/// A namespace's name is a part of host names: one label.
fn check_namespace_name(key: &Key) -> Result<(), Failure> {
    if is_dns_subdomain(&key.name) && !key.name.contains('.') {
        return Ok(());
    }
    let message =
        format!("{:?} is not a DNS label: use lower-case letters, digits and '-'", key.name);
    Err(Failure::invalid(key, vec![Cause { field: "metadata.name".to_owned(), message }]))
}

/// `PUT` to an object.
pub(crate) async fn replace(
    caller: &Caller,
    target: &Target,
    name: &str,
    parameters: &Parameters,
    mut value: Value,
) -> Result<Response, Failure> {
    let key = place(target, &mut value)?;
    debug_assert_eq!(key.name, name);
    change(caller, target, &key, parameters.dry_run()?, |_| Ok(value.clone())).await
}

/// `PATCH` to an object.
pub(crate) async fn patch(
    caller: &Caller,
    target: &Target,
    name: &str,
    parameters: &Parameters,
    kind: PatchType,
    patch: Value,
) -> Result<Response, Failure> {
    let key = target.key(name);
    let dry_run = parameters.dry_run()?;
    if kind != PatchType::Apply {
        return change(caller, target, &key, dry_run, |current| {
            patched(kind, &key, current, &patch)
        })
        .await;
    }
    let mut applied = patch;
    place(target, &mut applied)?;
    let manager = apply::Manager::of(parameters)?;
    for _ in 0..RETRIES {
        if caller.store.get(&key).await?.is_some() {
            return change(caller, target, &key, dry_run, |current| {
                apply::onto(current, &applied, manager)
            })
            .await;
        }
        let new = apply::fresh(&applied, manager)?;
        match insert(caller, target, key.clone(), new, dry_run).await {
            // Another writer made it in between: apply onto that.
            Err(failure) if failure.reason == "AlreadyExists" => {}
            outcome => return outcome,
        }
    }
    Err(contended(&key))
}

/// Reads, changes, checks and writes an object. `step` makes the new object from the current one; a
/// `resourceVersion` in what it makes must be the current one. Without one of the caller's own, a change that lost a race
/// is made anew.
async fn change(
    caller: &Caller,
    target: &Target,
    key: &Key,
    dry_run: bool,
    step: impl Fn(&Value) -> Result<Value, Failure>,
) -> Result<Response, Failure> {
    built_in::check_stays(key)?;
    for _ in 0..RETRIES {
        let entry = caller.store.get(key).await?.ok_or_else(|| Failure::not_found(key))?;
        let current = answer_as(target, key, &entry.value, entry.version)?;
        let mut new = step(&current)?;
        place(target, &mut new)?;
        fill(target.kind, &mut new);
        check_identity(key, &current, &new)?;
        let new = succeed(&current, new, target.status)?;
        check_role_ref(target.kind, key, &current, &new)?;
        caller.admit(target, &new).await?;
        let bytes = Bytes::from(encode(target, key, &new)?);
        match commit(&*caller.store, &entry, &new, bytes.clone(), dry_run).await {
            Ok(version) => {
                return Ok(json_response(
                    StatusCode::OK,
                    &answer_as(target, key, &bytes, version)?,
                ));
            }
            // The next round finds out whether the caller had insisted on the version that is gone.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(key))
}

fn contended(key: &Key) -> Failure {
    Failure::conflict(key, "other writers were faster every time; please try again")
}

/// Refuses a change that was made to another version, or to an earlier object of the same name.
fn check_identity(key: &Key, current: &Value, new: &Value) -> Result<(), Failure> {
    let differs = |pointer: &str| {
        let given = new.pointer(pointer).and_then(Value::as_str).filter(|given| !given.is_empty());
        given.is_some_and(|given| current.pointer(pointer).and_then(Value::as_str) != Some(given))
    };
    if differs("/metadata/resourceVersion") {
        return Err(Failure::conflict(
            key,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    if differs("/metadata/uid") {
        return Err(Failure::conflict(
            key,
            "the object of this uid is gone; another has its name now",
        ));
    }
    Ok(())
}

/// Refuses a binding that would give another role than before: who may edit it, to add a subject, need not have been meant
/// to choose what all subjects get (Kubernetes: a binding's `roleRef` is immutable, delete it and make another).
fn check_role_ref(kind: Kind, key: &Key, current: &Value, new: &Value) -> Result<(), Failure> {
    if !matches!(kind, Kind::RoleBinding | Kind::ClusterRoleBinding) {
        return Ok(());
    }
    let role = |binding: &Value| {
        let mut role = binding.get("roleRef").cloned().unwrap_or_default();
        // Left out it means the one group that there is.
        if role.get("apiGroup").and_then(Value::as_str).is_none_or(str::is_empty)
            && let Some(fields) = role.as_object_mut()
        {
            fields.insert("apiGroup".to_owned(), RBAC.into());
        }
        role
    };
    if role(current) == role(new) {
        return Ok(());
    }
    let message = "cannot change roleRef: delete the binding and make another".to_owned();
    Err(Failure::invalid(key, vec![Cause { field: "roleRef".to_owned(), message }]))
}

/// Writes the change, unless it changes nothing; removes an object whose last finalizer went.
async fn commit(
    store: &dyn Store,
    entry: &Entry,
    new: &Value,
    bytes: Bytes,
    dry_run: bool,
) -> Result<u64, StoreError> {
    if dry_run {
        return Ok(entry.version);
    }
    let expect = Expect::Version(entry.version);
    if is_finished(new) {
        return store.delete(entry.key.clone(), expect).await;
    }
    // An update without a change makes no new version, so that no watcher is woken for nothing.
    let unchanged =
        serde_json::from_slice::<Value>(&entry.value).ok() == serde_json::from_slice(&bytes).ok();
    if unchanged {
        return Ok(entry.version);
    }
    store.put(entry.key.clone(), bytes, expect).await
}

/// Whether objects of this kind may have a part that only `/status` writes.
pub(crate) fn has_status(kind: Kind) -> bool {
    !(kind.group().is_empty()
        && matches!(kind.plural(), "secrets" | "configmaps" | "serviceaccounts"))
}
