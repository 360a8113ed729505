//! Whom a `PeerAuthentication` touches: workloads, and their callers' view of them.

use meltemi_policy::peer::{Mode, PeerAuthentication};

use super::*;

const ROOT: &str = "istio-system";

fn object(namespace: &str, name: &str) -> Object {
    Object::new(ObjectKind::PeerAuthentication, namespace, name)
}

fn policy(namespace: &str, name: &str, app: Option<&str>, mode: Option<Mode>) -> Change {
    let policy = PeerAuthentication {
        namespace: namespace.into(),
        name: name.into(),
        created: "2026-01-01T00:00:00Z".into(),
        selector: app.map(|app| labels(&[("app", app)])).unwrap_or_default(),
        mode,
        ports: BTreeMap::new(),
    };
    Change::Put(object(namespace, name), Record::PeerAuthentication(policy))
}

fn on_port(change: Change, port: u16, mode: Mode) -> Change {
    let Change::Put(object, Record::PeerAuthentication(mut policy)) = change else {
        panic!("{change:?}")
    };
    policy.ports.insert(port, Some(mode));
    Change::Put(object, Record::PeerAuthentication(policy))
}

/// The mode of a workload's only port, and whether its callers know that it takes no mutual TLS.
fn mode(snapshot: &Snapshot, namespace: &str, app: &str) -> (Mode, bool) {
    let workload = snapshot.workload(namespace, app).unwrap();
    let service = snapshot.service(&format!("{app}.{namespace}.{SUFFIX}")).unwrap();
    let is_plaintext = service.endpoints[app].plaintext == [8001];
    (workload.inbound[0].mode, is_plaintext)
}

pub(super) fn any_change() -> impl Strategy<Value = Change> {
    let namespace = || prop::sample::select(vec!["n", "m", ROOT]);
    let name = || prop::sample::select(vec!["p", "q"]);
    let app = prop::option::of(prop::sample::select(vec!["x", "y", "z"]));
    let modes = vec![None, Some(Mode::Strict), Some(Mode::Permissive), Some(Mode::Disable)];
    let mode = prop::sample::select(modes);
    prop_oneof![
        3 => (namespace(), name(), app, mode, 1..3u16).prop_map(|(namespace, name, app, mode, port)| {
            match (port, app) {
                (1, Some(_)) => on_port(policy(namespace, name, app, mode), 1, Mode::Disable),
                _ => policy(namespace, name, app, mode),
            }
        }),
        1 => (namespace(), name()).prop_map(|(namespace, name)| Change::Remove(object(namespace, name))),
    ]
}

/// What is said, the modes then, whose own view changes, and whose endpoint.
type Row = (Change, [(Mode, bool); 3], &'static [&'static str], &'static [&'static str]);

#[test]
fn a_policy_touches_those_whom_it_is_for_and_their_callers_where_these_are_to_call_otherwise() {
    let mut model = model();
    let each = [("n", "x"), ("n", "y"), ("m", "x")];
    model.apply(
        1,
        each.into_iter().flat_map(|(namespace, app)| {
            [service(namespace, app), workload(namespace, app, app, 8001)]
        }),
    );
    let modes = |snapshot: &Snapshot| each.map(|(namespace, app)| mode(snapshot, namespace, app));
    let [strict, permissive, disable] =
        [(Mode::Strict, false), (Mode::Permissive, false), (Mode::Disable, true)];
    let all = [Some(Mode::Strict), Some(Mode::Permissive), Some(Mode::Disable)];
    let [said_strict, said_permissive, said_disable] = all;
    let rows: [Row; 9] = [
        (policy("n", "all", None, said_strict), [strict; 3], &[], &[]),
        (
            policy("n", "all", None, said_permissive),
            [permissive, permissive, strict],
            &["n/x", "n/y"],
            &[],
        ),
        (
            policy("n", "y", Some("y"), said_disable),
            [permissive, disable, strict],
            &["n/y"],
            &["+y.n.svc.cluster.local/y"],
        ),
        (policy(ROOT, "x", Some("x"), said_disable), [permissive, disable, strict], &[], &[]),
        (
            policy(ROOT, "mesh", None, said_disable),
            [permissive, disable, disable],
            &["m/x"],
            &["+x.m.svc.cluster.local/x"],
        ),
        (
            policy("n", "y", Some("none"), said_disable),
            [permissive, permissive, disable],
            &["n/y"],
            &["+y.n.svc.cluster.local/y"],
        ),
        (
            on_port(policy("n", "y", Some("y"), None), 8001, Mode::Strict),
            [permissive, strict, disable],
            &["n/y"],
            &[],
        ),
        (
            Change::Remove(object("n", "all")),
            [disable, strict, disable],
            &["n/x"],
            &["+x.n.svc.cluster.local/x"],
        ),
        (
            Change::Remove(object(ROOT, "mesh")),
            [strict; 3],
            &["m/x", "n/x"],
            &["+x.m.svc.cluster.local/x", "+x.n.svc.cluster.local/x"],
        ),
    ];
    for (change, expected, workloads, endpoints) in rows {
        let why = format!("{change:?}");
        let (snapshot, affected) = model.apply(2, [change]);
        assert_eq!(modes(&snapshot), expected, "{why}");
        let (services, of, own) = told(&affected);
        assert_eq!((services.len(), of, own), (0, owned(endpoints), owned(workloads)), "{why}");
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn endpoints_without_a_sidecar_are_called_in_plaintext_anyway() {
    let mut model = model();
    let record = WorkloadRecord { mutual_tls: false, ..workload_record("x", 8001) };
    let bare = Change::Put(workload_object("n", "x"), Record::Workload(record));
    let (snapshot, _) =
        model.apply(1, [service("n", "x"), bare, policy("n", "all", None, Some(Mode::Disable))]);
    let endpoint = &snapshot.service("x.n.svc.cluster.local").unwrap().endpoints["x"];
    assert_eq!((endpoint.mutual_tls, &*endpoint.plaintext), (None, &[][..]));
}

#[test]
fn endpoints_that_a_service_entry_lists_are_those_of_its_namespace() {
    let mut model = model();
    let mut record = service_record(&["ext.example.com"], None);
    record.inline = vec![("inline".into(), workload_record("x", 8001))];
    let entry = Object::new(ObjectKind::ServiceEntry, "n", "ext");
    let entry = Change::Put(entry, Record::Service(record));
    model.apply(1, [entry, policy("m", "all", None, Some(Mode::Disable))]);
    for (mode, is_plaintext) in [(Mode::Disable, true), (Mode::Permissive, false)] {
        let (snapshot, affected) = model.apply(2, [policy("n", "x", Some("x"), Some(mode))]);
        let endpoint = &snapshot.service("ext.example.com").unwrap().endpoints["inline"];
        assert_eq!(endpoint.plaintext == [8001], is_plaintext);
        assert_eq!(told(&affected).1, ["+ext.example.com/inline"]);
    }
}
