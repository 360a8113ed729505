use super::Mode::{Disable, Permissive, Strict};
use super::*;

const ROOT: &str = "istio-system";

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A policy of 2026-01-DAY; with an `app` it selects.
fn policy(namespace: &str, day: u32, app: Option<&str>, mode: Option<Mode>) -> PeerAuthentication {
    PeerAuthentication {
        namespace: namespace.into(),
        name: format!("created-{day}"),
        created: format!("2026-01-{day:02}T00:00:00Z"),
        selector: labels(&app.map(|app| ("app", app)).into_iter().collect::<Vec<_>>()),
        mode,
        ports: BTreeMap::new(),
    }
}

/// What the workload `app=finance` of namespace `foo` asks.
fn modes(policies: &[PeerAuthentication]) -> Modes {
    let labels = labels(&[("app", "finance"), ("version", "v1")]);
    Governing::find(policies, ROOT, "foo", &labels).modes()
}

#[test]
fn the_narrowest_level_that_says_something_counts() {
    let mesh = |mode| policy(ROOT, 1, None, mode);
    let namespace = |mode| policy("foo", 2, None, mode);
    let workload = |mode| policy("foo", 3, Some("finance"), mode);
    for (policies, expected) in [
        (vec![], Strict),
        (vec![mesh(Some(Permissive))], Permissive),
        (vec![mesh(Some(Disable))], Disable),
        (vec![mesh(None)], Strict),
        (vec![mesh(Some(Permissive)), namespace(Some(Strict))], Strict),
        (vec![mesh(Some(Strict)), namespace(Some(Permissive))], Permissive),
        (vec![mesh(Some(Permissive)), namespace(None)], Permissive),
        (vec![mesh(None), namespace(None), workload(None)], Strict),
        (vec![namespace(Some(Permissive)), workload(Some(Strict))], Strict),
        (vec![namespace(Some(Strict)), workload(Some(Disable))], Disable),
        (vec![mesh(Some(Disable)), namespace(None), workload(None)], Disable),
        (vec![mesh(Some(Disable)), namespace(Some(Permissive)), workload(None)], Permissive),
        (vec![mesh(Some(Disable)), workload(Some(Permissive))], Permissive),
    ] {
        assert_eq!(modes(&policies).mode, expected, "{policies:#?}");
        let backwards: Vec<_> = policies.iter().cloned().rev().collect();
        assert_eq!(modes(&backwards).mode, expected, "backwards: {policies:#?}");
    }
}

#[test]
fn policies_for_others_do_not_count() {
    for other in [
        policy("bar", 1, None, Some(Disable)),
        policy("bar", 1, Some("finance"), Some(Disable)),
        policy("foo", 1, Some("shop"), Some(Disable)),
        // Istio: a selector in the root namespace is for nobody.
        policy(ROOT, 1, Some("finance"), Some(Disable)),
    ] {
        assert_eq!(modes(std::slice::from_ref(&other)).mode, Strict, "{other:#?}");
    }
    let mut both = policy("foo", 1, Some("finance"), Some(Disable));
    both.selector.extend(labels(&[("version", "v2")]));
    assert_eq!(modes(&[both]).mode, Strict, "one of two labels is another one");
}

#[test]
fn of_several_of_one_level_the_oldest_counts_alone() {
    for (namespace, app) in [(ROOT, None), ("foo", None), ("foo", Some("finance"))] {
        let old = policy(namespace, 1, app, Some(Permissive));
        let new = policy(namespace, 2, app, Some(Disable));
        for policies in [[old.clone(), new.clone()], [new, old]] {
            assert_eq!(modes(&policies).mode, Permissive, "{namespace} {app:?}");
        }
        // What the oldest leaves open is said by the level above, not by the next oldest.
        let silent = policy(namespace, 1, app, None);
        let new = policy(namespace, 2, app, Some(Disable));
        assert_eq!(modes(&[new, silent]).mode, Strict, "{namespace} {app:?}");
    }
    let same_age = |name: &str, mode| PeerAuthentication {
        name: name.into(),
        ..policy("foo", 1, None, Some(mode))
    };
    let (a, b) = (same_age("a", Disable), same_age("b", Permissive));
    assert_eq!(modes(&[b, a]).mode, Disable, "of one age: by name");
}

#[test]
fn ports_go_before_their_workload() {
    let with_ports = |mode, ports: &[(u16, Option<Mode>)]| PeerAuthentication {
        ports: ports.iter().copied().collect(),
        ..policy("foo", 3, Some("finance"), mode)
    };
    // The examples of Istio's reference: STRICT but for 8080, and a port within a namespace that is STRICT.
    let strict = with_ports(Some(Strict), &[(8080, Some(Disable))]);
    let found = modes(&[strict]);
    assert_eq!((found.on(8080), found.on(9090)), (Disable, Strict));

    let namespace = policy("foo", 1, None, Some(Strict));
    let inherits = with_ports(None, &[(8080, Some(Permissive)), (9090, None)]);
    let found = modes(&[namespace, inherits]);
    assert_eq!((found.on(8080), found.on(9090), found.on(1)), (Permissive, Strict, Strict));
    assert_eq!(found.ports.len(), 1, "a port that is UNSET asks what the workload asks");

    // An UNSET port follows its own policy's mode before that of the namespace.
    let found =
        modes(&[policy("foo", 1, None, Some(Strict)), with_ports(Some(Disable), &[(80, None)])]);
    assert_eq!(found.on(80), Disable);

    // Ports are of the oldest policy alone.
    let old = policy("foo", 1, Some("finance"), Some(Permissive));
    let found = modes(&[old, with_ports(None, &[(8080, Some(Disable))])]);
    assert_eq!(found.on(8080), Permissive);
}
