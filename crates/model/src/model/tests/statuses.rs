//! What is told of routes of the Gateway API, and that it is found anew where it may differ.

use super::rules::object;
use super::*;
use crate::routes::{Backend, Parent, ParentOf, RouteRecord};

/// A route of namespace `shop` to `bye` there, attached to `hello`; `change` makes it another one.
fn route(change: impl FnOnce(&mut RouteRecord)) -> Change {
    let host = |name: &str| format!("{name}.shop.{SUFFIX}").parse().unwrap();
    let parent = Parent { of: ParentOf::Host(host("hello")), namespace: "shop".into(), port: None };
    let backend = Backend { path: "backend".into(), to: Ok((host("bye"), Some(80))) };
    let mut record = RouteRecord {
        created: "2026".into(),
        generation: 7,
        parents: vec![parent],
        given: vec![serde_json::json!({"name": "hello"})],
        backends: vec![backend],
        ..RouteRecord::default()
    };
    change(&mut record);
    Change::Put(it(), Record::Route(record))
}

fn it() -> Object {
    object(ObjectKind::HttpRoute, "shop", "it")
}

/// The reasons of the conditions at the first parent, with a `!` before those that do not hold.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let Some(status) = snapshot.route_statuses().get(&it()) else { return Vec::new() };
    assert_eq!(status.generation, 7);
    let conditions = status.parents[0].conditions.iter();
    conditions.map(|it| format!("{}{}", if it.holds { "" } else { "!" }, it.reason)).collect()
}

#[test]
fn a_status_follows_what_the_route_names() {
    let mut model = model();
    let (snapshot, _) = model.apply(1, [route(|_| {})]);
    assert_eq!(told(&snapshot), ["!NoMatchingParent", "!BackendNotFound"]);
    let (snapshot, _) = model.apply(2, [service("shop", "hello")]);
    assert_eq!(told(&snapshot), ["Accepted", "!BackendNotFound"]);
    let (snapshot, _) = model.apply(3, [service("shop", "bye")]);
    assert_eq!(told(&snapshot), ["Accepted", "ResolvedRefs"]);
    // What concerns the route in no way leaves its status the very same.
    let before = snapshot.route_statuses().clone();
    let (snapshot, _) = model.apply(4, [service("far", "other")]);
    assert!(Arc::ptr_eq(&before, snapshot.route_statuses()));

    for (change, expected) in [
        (route(|it| it.parents[0].port = Some(81)), ["!NoMatchingParent", "ResolvedRefs"]),
        (route(|it| it.unsupported.push("a filter".into())), ["!UnsupportedValue", "ResolvedRefs"]),
        (route(|it| it.backends[0].to = Err("a bucket".into())), ["Accepted", "!InvalidKind"]),
        (route(|_| {}), ["Accepted", "ResolvedRefs"]),
    ] {
        let (snapshot, _) = model.apply(5, [change]);
        assert_eq!(told(&snapshot), expected);
    }
    let (snapshot, _) = model.apply(6, [Change::Remove(service_object("shop", "hello"))]);
    assert_eq!(told(&snapshot), ["!NoMatchingParent", "ResolvedRefs"]);
    let (snapshot, _) = model.apply(7, [Change::Remove(it())]);
    assert!(snapshot.route_statuses().is_empty());
}
