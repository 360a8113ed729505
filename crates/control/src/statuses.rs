//! Tells in the `status` of routes of the Gateway API what became of them: a change of the snapshot is a write of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meltemi_api::Kind;
use meltemi_audit::timestamp;
use meltemi_discovery::Publisher;
use meltemi_model::{Object, RouteCondition, RouteStatus};
use meltemi_store::{Entry, Expect, Key, Store, StoreError};
use serde_json::{Value, json};

/// Who tells it (`RouteParentStatus.controllerName`).
const CONTROLLER: &str = "meltemi.io/mesh-controller";
/// The wait before a store that failed is written to again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The status of each route.
type Statuses = Arc<BTreeMap<Object, Arc<RouteStatus>>>;

/// Writes what differs from what was written before, until the store is closed.
pub(crate) async fn run(store: Arc<dyn Store>, publisher: Arc<Publisher>) {
    let mut version = publisher.version();
    let mut told = Statuses::default();
    loop {
        version.mark_unchanged();
        let statuses = publisher.snapshot().route_statuses().clone();
        match tell(&*store, &told, &statuses).await {
            Ok(()) => told = statuses,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "the status of a route could not be written; trying again");
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
        }
        if version.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(store: &dyn Store, told: &Statuses, next: &Statuses) -> Result<(), StoreError> {
    if Arc::ptr_eq(told, next) {
        return Ok(());
    }
    for (object, status) in &**next {
        let is_told = told.get(object).is_some_and(|before| Arc::ptr_eq(before, status));
        if let Some(key) = key(object).filter(|_| !is_told) {
            write(store, key, status).await?;
        }
    }
    Ok(())
}

/// Where a route is kept.
fn key(object: &Object) -> Option<Key> {
    let kind = Kind::all().iter().find(|kind| kind.kind() == object.kind.as_str())?;
    Some(Key::new(kind.group(), kind.plural(), Some(&object.namespace), &object.name))
}

/// Writes a status if the route is as it was looked at; if not, the look at what it is by now has its own.
async fn write(store: &dyn Store, key: Key, status: &RouteStatus) -> Result<(), StoreError> {
    loop {
        let Some(Entry { value, version, .. }) = store.get(&key).await? else { return Ok(()) };
        let Ok(route) = serde_json::from_slice::<Value>(&value) else { return Ok(()) };
        let now = timestamp::format(timestamp::now());
        let Some(next) = with_status(route, status, &now) else { return Ok(()) };
        let bytes = Bytes::from(next.to_string());
        match store.put(key.clone(), bytes, Expect::Version(version)).await {
            // Somebody else wrote meanwhile.
            Err(StoreError::Conflict { .. }) => {}
            Err(StoreError::NotFound { .. }) => return Ok(()),
            other => return other.map(drop),
        }
    }
}

/// The route with its status; `None` if it has that already, or is not the one of which it tells. What other controllers
/// tell of it stays.
fn with_status(mut route: Value, status: &RouteStatus, now: &str) -> Option<Value> {
    if route["metadata"]["generation"].as_u64().unwrap_or_default() != status.generation {
        return None;
    }
    let before = route["status"]["parents"].as_array().cloned().unwrap_or_default();
    let is_own = |it: &&Value| it["controllerName"] == CONTROLLER;
    let own: Vec<&Value> = before.iter().filter(is_own).collect();
    let mut parents: Vec<Value> = before.iter().filter(|it| !is_own(it)).cloned().collect();
    parents.extend(status.parents.iter().map(|parent| {
        let known = own.iter().find(|it| it["parentRef"] == parent.parent);
        let conditions = parent.conditions.iter().map(|it| {
            let conditions = known.and_then(|known| known["conditions"].as_array());
            let same = conditions
                .into_iter()
                .flatten()
                .find(|known| known["type"] == it.r#type && known["status"] == word(it));
            let since = same.and_then(|known| known["lastTransitionTime"].as_str()).unwrap_or(now);
            condition(it, status.generation, since)
        });
        json!({
            "parentRef": parent.parent,
            "controllerName": CONTROLLER,
            "conditions": conditions.collect::<Vec<_>>(),
        })
    }));
    if parents == before {
        return None;
    }
    route["status"]["parents"] = Value::Array(parents);
    Some(route)
}

fn word(condition: &RouteCondition) -> &'static str {
    if condition.holds { "True" } else { "False" }
}

fn condition(it: &RouteCondition, generation: u64, since: &str) -> Value {
    json!({
        "type": it.r#type,
        "status": word(it),
        "reason": it.reason,
        "message": it.message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    })
}

#[cfg(test)]
mod tests {
    use meltemi_model::RouteParentStatus;

    use super::*;

    fn status(generation: u64, is_accepted: bool) -> RouteStatus {
        let condition = |r#type, holds| RouteCondition {
            r#type,
            holds,
            reason: "Because",
            message: "it is so".into(),
        };
        let conditions = [condition("Accepted", is_accepted), condition("ResolvedRefs", true)];
        let parent = json!({"group": "", "kind": "Service", "name": "a"});
        RouteStatus { generation, parents: vec![RouteParentStatus { parent, conditions }] }
    }

    #[test]
    fn a_status_is_written_where_it_says_something_new() {
        let theirs = json!({"parentRef": {"name": "edge"}, "controllerName": "example.com/edge"});
        let route = json!({
            "metadata": {"generation": 2}, "spec": {"a": 1}, "status": {"parents": [theirs]},
        });
        let first = with_status(route, &status(2, true), "then").unwrap();
        assert_eq!((&first["spec"]["a"], &first["metadata"]["generation"]), (&json!(1), &json!(2)));
        let parents = first["status"]["parents"].as_array().unwrap();
        assert_eq!((parents.len(), &parents[0]), (2, &theirs));
        assert_eq!(parents[1]["parentRef"]["name"], "a");
        assert_eq!(parents[1]["conditions"][0]["lastTransitionTime"], "then");
        assert_eq!(with_status(first.clone(), &status(2, true), "now"), None, "the same again");
        assert_eq!(with_status(first.clone(), &status(3, true), "now"), None, "of another one");

        let second = with_status(first, &status(2, false), "now").unwrap();
        let conditions = &second["status"]["parents"][1]["conditions"];
        let times = [0, 1].map(|at| conditions[at]["lastTransitionTime"].as_str().unwrap());
        assert_eq!(times, ["now", "then"]);
        assert_eq!(conditions[0]["status"], "False");

        // No more of the mesh: what was told of it goes, and what others tell stays.
        let none = RouteStatus { generation: 2, parents: Vec::new() };
        let last = with_status(second, &none, "now").unwrap();
        assert_eq!(last["status"]["parents"], json!([theirs]));
        let bare = json!({"metadata": {"generation": 2}});
        assert_eq!(with_status(bare, &none, "now"), None);
    }
}
