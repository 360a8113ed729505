use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use futures_util::FutureExt as _;
use meltemi_wire::xds;

use super::fake::{ControlPlane, LONG, channel};
use super::*;
use crate::config::Endpoint;
use crate::config::fixture::{HELLO, endpoint, endpoints, service, services, workload};

const SHORT: Duration = Duration::from_millis(100);
const OWN: &str = "default/hello-1";

fn options(channel: Channel, cache_dir: Option<&Path>) -> MeshOptions {
    MeshOptions {
        labels: std::collections::BTreeMap::default(),
        channel,
        node: xds::node("hello-1", "default", "hello", "127.0.0.1", &Default::default()),
        workload: Some(OWN.into()),
        namespace: "default".into(),
        cache_dir: cache_dir.map(Into::into),
        trust: None,
    }
}

/// A control plane that knows `hello` with the endpoints `a` and `b`, and our own workload.
async fn control_plane() -> ControlPlane {
    let control = ControlPlane::start().await;
    control.put(type_url::SERVICE, "hello", &service("hello", &[80]));
    for workload in ["a", "b"] {
        control.put(type_url::ENDPOINT, &format!("{HELLO}/{workload}"), &endpoint(workload));
    }
    control.put(type_url::WORKLOAD, OWN, &workload());
    control
}

/// Where nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn found(lookup: Lookup) -> Arc<Service> {
    match lookup {
        Lookup::Found(service) => service,
        other => panic!("{other:?}"),
    }
}

fn on_80(service: &Service) -> Vec<Arc<Endpoint>> {
    service.cluster(80).unwrap().endpoints().to_vec()
}

async fn until(mesh: &Mesh, wanted: impl Fn(&Snapshot) -> bool) {
    let mut changes = mesh.changes();
    let reached = changes.wait_for(|_| wanted(&mesh.current()));
    tokio::time::timeout(LONG, reached).await.expect("in time").expect("the mesh lives");
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_subscription() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    assert!(mesh.find("hello").is_none());
    let asking: Vec<_> = (0..20)
        .map(|number| {
            let mesh = mesh.clone();
            let name = if number % 2 == 0 { "hello" } else { "Hello." };
            tokio::spawn(async move { found(mesh.fetch(name, LONG).await) })
        })
        .collect();
    for asking in asking {
        assert_eq!(&*asking.await.unwrap().host, HELLO);
    }
    assert_eq!(control.subscriptions(type_url::SERVICE, "hello"), 1);
    assert_eq!(control.subscriptions(type_url::ENDPOINT, &format!("{HELLO}/*")), 1);
    assert_eq!(on_80(&mesh.find("HELLO").unwrap()).len(), 2);
    until(&mesh, |it| it.inbound().find(HELLO, 80).is_some()).await;
    assert!(mesh.connection().borrow().is_connected());
}

#[tokio::test]
async fn a_removal_is_acknowledged_when_nobody_picks_the_endpoint_any_more() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    let before = on_80(&found(mesh.fetch("hello", LONG).await));
    assert!(before.iter().all(|endpoint| !endpoint.is_gone()));
    control.remove(type_url::ENDPOINT, &format!("{HELLO}/b"));
    control
        .seen(|log| {
            let is_removal = |it: &&xds::DeltaDiscoveryResponse| {
                it.removed_resources.iter().any(|name| name.ends_with("/b"))
            };
            let removal = log.responses.iter().find(is_removal);
            removal.is_some_and(|removal| {
                log.requests.iter().any(|it| {
                    it.type_url == type_url::ENDPOINT && it.response_nonce == removal.nonce
                })
            })
        })
        .await;
    // Without any wait from here on.
    assert_eq!(on_80(&mesh.find("hello").unwrap()).len(), 1);
    assert_eq!((before[0].is_gone(), before[1].is_gone()), (false, true));
}

#[tokio::test]
async fn who_is_told_of_a_change_sees_it_whole() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    let before = on_80(&found(mesh.fetch("hello", LONG).await));
    let mut moved = endpoint("a");
    moved.address = "127.0.0.2".into();
    let generation = mesh.current().generation;
    control.put(type_url::ENDPOINT, &format!("{HELLO}/a"), &moved);
    until(&mesh, |_| before[0].is_gone()).await;
    let after = on_80(&mesh.find("hello").unwrap());
    assert!(mesh.current().generation > generation);
    assert_eq!(after[0].address.to_string(), "127.0.0.2");
    assert!(Arc::ptr_eq(&before[1], &after[1]));
}

#[tokio::test]
async fn an_unknown_name_is_remembered_and_found_when_it_appears() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    for _ in 0..3 {
        assert!(matches!(mesh.fetch("late", LONG).await, Lookup::Unknown));
    }
    assert_eq!(control.subscriptions(type_url::SERVICE, "late"), 1);
    control.put(type_url::SERVICE, "late", &service("late", &[80]));
    until(&mesh, |it| it.find("late").is_some()).await;
    assert!(on_80(&found(mesh.fetch("late", LONG).await)).is_empty());

    control.remove(type_url::SERVICE, "late");
    until(&mesh, |it| it.find("late").is_none()).await;
    assert!(matches!(mesh.fetch("late", LONG).await, Lookup::Unknown));
}

#[tokio::test]
async fn what_is_no_name_is_unknown_without_a_question() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    for name in ["", "a b", "*.example.com", "*", "a/b", "-"] {
        assert!(matches!(mesh.fetch(name, LONG).await, Lookup::Unknown), "{name}");
    }
    found(mesh.fetch("hello", LONG).await);
    let log = control.seen(|_| true).await;
    let asked: Vec<_> = log
        .requests
        .iter()
        .filter(|it| it.type_url == type_url::SERVICE)
        .flat_map(|it| &it.resource_names_subscribe)
        .collect();
    assert_eq!(asked, ["hello"]);
}

#[tokio::test]
async fn without_an_answer_the_reason_is_told() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    found(mesh.fetch("hello", LONG).await);
    control.fall_silent();
    let Lookup::Unreachable(reason) = mesh.fetch("other", SHORT).await else { panic!() };
    assert!(reason.contains("said nothing of `other`"), "{reason}");
    found(mesh.fetch("hello", Duration::ZERO).await);

    let alone = Mesh::start(options(channel(nowhere()), None));
    let tried = |it: &Connection| matches!(it, Connection::Disconnected { reason, .. } if !reason.is_empty());
    alone.connection().wait_for(tried).await.unwrap();
    let Lookup::Unreachable(reason) = alone.fetch("hello", SHORT).await else { panic!() };
    assert!(reason.contains("the control plane is away"), "{reason}");
}

#[tokio::test]
async fn a_bad_resource_is_reported_and_blocks_nobody() {
    let control = control_plane().await;
    let mut bad = endpoint("bad");
    bad.identity = "nobody".into();
    control.put(type_url::ENDPOINT, &format!("{HELLO}/bad"), &bad);
    control.put(type_url::SERVICE, "broken", &service("broken", &[0]));
    let mesh = Mesh::start(options(control.channel(), None));
    assert_eq!(on_80(&found(mesh.fetch("hello", LONG).await)).len(), 2);
    let Lookup::Unreachable(reason) = mesh.fetch("broken", LONG).await else { panic!() };
    assert!(reason.contains("cannot be used") && reason.contains("no port"), "{reason}");
    let told = |log: &super::fake::Log, part: &str| {
        let details = log.requests.iter().filter_map(|it| it.error_detail.as_ref());
        details.into_iter().any(|it| it.message.contains(part))
    };
    control.seen(|log| told(log, "nobody") && told(log, "broken")).await;
    let names: Vec<_> = mesh.set_aside().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [format!("endpoint {HELLO}/bad"), "service broken".into()]);
}

#[tokio::test]
async fn a_restart_goes_on_without_the_control_plane_and_resumes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let control = control_plane().await;
    let first = Mesh::start(options(control.channel(), Some(dir.path())));
    found(first.fetch("hello", LONG).await);
    until(&first, |it| it.inbound().find(HELLO, 80).is_some()).await;
    first.flush().await;
    drop(first);
    control.seen(|log| log.ended == 1).await;

    let alone = Mesh::start(options(channel(nowhere()), Some(dir.path())));
    assert_eq!(on_80(&found(alone.fetch("hello", Duration::ZERO).await)).len(), 2);
    assert!(alone.current().inbound().find(HELLO, 80).is_some());
    assert!(matches!(alone.fetch("other", SHORT).await, Lookup::Unreachable(_)));
    drop(alone);

    let sent = control.seen(|_| true).await.responses.len();
    control.put(type_url::ENDPOINT, &format!("{HELLO}/c"), &endpoint("c"));
    let second = Mesh::start(options(control.channel(), Some(dir.path())));
    assert_eq!(on_80(&second.find("hello").unwrap()).len(), 2);
    until(&second, |it| on_80(it.find("hello").unwrap()).len() == 3).await;
    let kinds = [type_url::ENDPOINT, type_url::SERVICE, type_url::WORKLOAD];
    let log = control
        .seen(|log| {
            let answered = |kind| log.responses[sent..].iter().any(|it| it.type_url == kind);
            kinds.into_iter().all(answered)
        })
        .await;
    let anew: Vec<_> = log.responses[sent..].iter().flat_map(|it| &it.resources).collect();
    assert_eq!(anew.len(), 1, "only what differs travels: {anew:?}");
    assert!(anew[0].name.ends_with("/c"));
}

#[tokio::test]
async fn a_cache_that_is_damaged_or_of_another_namespace_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let control = control_plane().await;
    let first = Mesh::start(options(control.channel(), Some(dir.path())));
    found(first.fetch("hello", LONG).await);
    first.flush().await;
    let mut other = options(channel(nowhere()), Some(dir.path()));
    other.namespace = "other".into();
    assert!(Mesh::start(other).find("hello").is_none());

    std::fs::write(dir.path().join("last-good.bin"), "no such thing").unwrap();
    let mesh = Mesh::start(options(control.channel(), Some(dir.path())));
    assert!(mesh.find("hello").is_none());
    found(mesh.fetch("hello", LONG).await);
    assert!(dir.path().join("last-good.corrupt").exists());
}

#[tokio::test(start_paused = true)]
async fn changes_are_kept_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(options(channel(nowhere()), Some(dir.path())));
    mesh.inner.ask("hello");
    mesh.inner.take_in(services(&[("hello", &service("hello", &[80]))]));
    mesh.inner.take_in(endpoints(&[&endpoint("a")]));
    let file = dir.path().join("last-good.bin");
    assert!(!file.exists(), "not on the way of an update");
    // Time is virtual, and stands still while the file is written.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let written = std::fs::metadata(&file).unwrap().ino();
    let again = Mesh::start(options(channel(nowhere()), Some(dir.path())));
    assert_eq!(on_80(&again.find("hello").unwrap()).len(), 1);
    again.flush().await;
    assert_eq!(std::fs::metadata(&file).unwrap().ino(), written, "nothing is new");
}

#[tokio::test]
async fn the_stream_ends_with_the_last_clone() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    let clone = mesh.clone();
    drop(mesh);
    found(clone.fetch("hello", LONG).await);
    drop(clone);
    control.seen(|log| log.ended == 1).await;
}

#[test]
fn the_mesh_is_shared_between_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Mesh>();
    is_shared::<Snapshot>();
    is_shared::<Lookup>();
}

#[tokio::test]
async fn a_workload_is_found_when_every_name_that_is_followed_leads_to_it() {
    let control = control_plane().await;
    let mesh = Mesh::start(options(control.channel(), None));
    until(&mesh, |known| !known.inbound().ports.is_empty()).await;
    let own = mesh.current().inbound().clone();
    let finds = || tokio::time::timeout(LONG, mesh.finds("default", "c", &own));
    finds().await.expect("nobody follows the service");

    let endpoint_of_c = format!("{HELLO}/c");
    assert_eq!(on_80(&found(mesh.fetch("hello", LONG).await)).len(), 2);
    assert!(mesh.finds("default", "c", &own).now_or_never().is_none(), "it is not here yet");
    control.put(type_url::ENDPOINT, &endpoint_of_c, &endpoint("c"));
    finds().await.expect("found, as it is here");
    assert_eq!(on_80(&found(mesh.fetch("hello", LONG).await)).len(), 3);

    // A name of which was said that there is no such service.
    assert!(matches!(mesh.fetch("hello.default", LONG).await, Lookup::Unknown));
    assert!(mesh.finds("default", "c", &own).now_or_never().is_none(), "one name says no");
    control.put(type_url::SERVICE, "hello.default", &service("hello", &[80]));
    finds().await.expect("found by both names");
}
