use meltemi_policy::balance::Ask;

use super::*;
use crate::config::Own;
use crate::config::fixture::{
    HELLO, added, endpoint, endpoints, endpoints_of, removed, service, services, update, workload,
};
use crate::config::{Endpoint, Service};
use meltemi_wire::proto::meltemi::v1;

/// A receiver that follows `hello`, with these endpoints.
fn hello(workloads: &[&str]) -> Receiver {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    receiver.ask("hello");
    receiver.update(services(&[("hello", &service("hello", &[80]))]));
    let messages: Vec<_> = workloads.iter().map(|workload| endpoint(workload)).collect();
    match messages.is_empty() {
        true => receiver.update(removed(type_url::ENDPOINT, &[&glob(HELLO)])),
        false => receiver.update(endpoints(&messages.iter().collect::<Vec<_>>())),
    };
    receiver
}

fn find(receiver: &mut Receiver, name: &str) -> Option<Arc<Service>> {
    receiver.snapshot().find(name).cloned()
}

fn on_80(receiver: &mut Receiver) -> Vec<Arc<Endpoint>> {
    let service = find(receiver, "hello").expect("hello");
    service.cluster(80).expect("port 80").endpoints().to_vec()
}

fn workloads(endpoints: &[Arc<Endpoint>]) -> Vec<&str> {
    endpoints.iter().map(|it| &*it.workload).collect()
}

#[test]
fn a_service_is_found_once_its_endpoints_are_known_too() {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    let change = receiver.ask("hello");
    assert_eq!(change.follow, [Follow::Begin(type_url::SERVICE, "hello".into())]);
    assert!(receiver.ask("hello").follow.is_empty(), "asked once");

    let change = receiver.update(services(&[("hello", &service("hello", &[80]))]));
    assert_eq!(change.follow, [Follow::Begin(type_url::ENDPOINT, glob(HELLO))]);
    assert!(!change.is_visible);
    assert!(find(&mut receiver, "hello").is_none());

    let change = receiver.update(endpoints(&[&endpoint("b"), &endpoint("a")]));
    assert!(change.is_visible && change.left.is_empty());
    assert_eq!(workloads(&on_80(&mut receiver)), ["a", "b"]);
}

#[test]
fn a_service_without_endpoints_is_found_too() {
    assert!(on_80(&mut hello(&[])).is_empty());
}

#[test]
fn several_names_of_a_host_share_the_service() {
    let mut receiver = hello(&["a"]);
    receiver.ask(HELLO);
    let change = receiver.update(services(&[(HELLO, &service("hello", &[80]))]));
    assert!(change.is_visible && change.follow.is_empty());
    let (short, full) = (find(&mut receiver, "hello"), find(&mut receiver, HELLO));
    assert!(Arc::ptr_eq(&short.unwrap(), &full.unwrap()));
    assert_eq!(receiver.snapshot().services().count(), 2);
}

#[test]
fn an_endpoint_that_did_not_change_stays_the_very_same() {
    let mut receiver = hello(&["a", "b", "c"]);
    let before = on_80(&mut receiver);
    let mut changed = endpoint("b");
    changed.address = "127.0.0.2".into();
    let mut update = endpoints(&[&endpoint("a"), &changed]);
    update.removed = vec![format!("{HELLO}/c")];
    let change = receiver.update(update);
    let after = on_80(&mut receiver);
    assert_eq!(workloads(&after), ["a", "b"]);
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert_ne!(before[1].id, after[1].id);
    let mut left: Vec<u64> = change.left.iter().map(|it| it.id).collect();
    left.sort();
    assert_eq!(left, [before[1].id, before[2].id]);
}

#[test]
fn what_is_sent_again_unchanged_changes_nothing() {
    let mut receiver = hello(&["a"]);
    let before = find(&mut receiver, "hello").unwrap();
    for update in [services(&[("hello", &service("hello", &[80]))]), endpoints(&[&endpoint("a")])] {
        let change = receiver.update(update);
        assert!(!change.is_visible && change.left.is_empty() && change.refused.is_empty());
    }
    assert!(Arc::ptr_eq(&before, &find(&mut receiver, "hello").unwrap()));
}

#[test]
fn endpoints_outlive_a_change_of_their_service_and_leave_with_their_port() {
    let mut receiver = hello(&[]);
    let mut both = endpoint("a");
    both.ports.push(v1::PortMapping { service_port: 443, target_port: 8443, plaintext: false });
    receiver.update(services(&[("hello", &service("hello", &[80, 443]))]));
    receiver.update(endpoints(&[&both]));
    let before = find(&mut receiver, "hello").unwrap();
    let on = |service: &Service, port| service.cluster(port).unwrap().endpoints()[0].clone();
    assert_ne!(on(&before, 80).id, on(&before, 443).id);

    let mut grpc = service("hello", &[80, 443]);
    grpc.ports[0].protocol = v1::Protocol::Grpc.into();
    assert!(receiver.update(services(&[("hello", &grpc)])).left.is_empty());
    let after = find(&mut receiver, "hello").unwrap();
    assert_eq!(after.cluster(80).unwrap().protocol, meltemi_names::Protocol::Grpc);
    assert!(Arc::ptr_eq(&on(&before, 80), &on(&after, 80)));
    assert!(Arc::ptr_eq(before.cluster(443).unwrap(), after.cluster(443).unwrap()));

    let change = receiver.update(services(&[("hello", &service("hello", &[80]))]));
    assert_eq!(change.left.iter().map(|it| it.id).collect::<Vec<_>>(), [on(&before, 443).id]);
    assert!(find(&mut receiver, "hello").unwrap().cluster(443).is_none());
}

#[test]
fn an_endpoint_stands_only_behind_the_ports_that_it_serves() {
    let mut receiver = hello(&["a"]);
    receiver.update(services(&[("hello", &service("hello", &[80, 81]))]));
    let service = find(&mut receiver, "hello").unwrap();
    let counts: Vec<_> =
        service.clusters.iter().map(|it| (it.port, it.endpoints().len())).collect();
    assert_eq!(counts, [(80, 1), (81, 0)]);
}

#[test]
fn one_bad_endpoint_blocks_nothing_and_its_version_before_stays() {
    let mut receiver = hello(&["a", "b"]);
    let before = on_80(&mut receiver);
    let mut bad = endpoint("a");
    bad.address = "not an address".into();
    let change = receiver.update(endpoints(&[&bad, &endpoint("c")]));
    let name = format!("{HELLO}/a");
    assert_eq!(change.refused.len(), 1);
    assert_eq!(change.refused[0].name, name);
    assert!(change.refused[0].reason.contains("not an address"), "{}", change.refused[0].reason);
    assert!(change.left.is_empty());
    let after = on_80(&mut receiver);
    assert_eq!(workloads(&after), ["a", "b", "c"]);
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    let kept: Vec<_> = receiver.endpoints().filter(|it| it.name == name).collect();
    assert_eq!(kept[0].version, added(&name, &endpoint("a")).version);
    assert_eq!(receiver.set_aside()[0].0, format!("endpoint {name}"));

    receiver.update(endpoints(&[&endpoint("a")]));
    assert!(receiver.set_aside().is_empty(), "a usable version came");
    receiver.update(endpoints(&[&bad]));
    receiver.update(removed(type_url::ENDPOINT, &[&name]));
    assert!(receiver.set_aside().is_empty(), "it was removed");
}

#[test]
fn a_list_of_bad_endpoints_alone_is_a_list() {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    receiver.ask("hello");
    receiver.update(services(&[("hello", &service("hello", &[80]))]));
    let mut bad = endpoint("a");
    bad.ports[0].target_port = 0;
    assert_eq!(receiver.update(endpoints(&[&bad])).refused.len(), 1);
    assert!(on_80(&mut receiver).is_empty());
    receiver.update(removed(type_url::ENDPOINT, &[&glob(HELLO)]));
    assert!(receiver.set_aside().is_empty());
}

#[test]
fn a_bad_service_leaves_the_one_before_or_says_why_there_is_none() {
    let mut receiver = hello(&["a"]);
    receiver.ask("other");
    let before = find(&mut receiver, "hello").unwrap();
    let change = receiver.update(services(&[
        ("hello", &service("hello", &[0])),
        ("other", &service("other", &[70_000])),
    ]));
    assert_eq!(change.refused.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["hello", "other"]);
    assert!(Arc::ptr_eq(&before, &find(&mut receiver, "hello").unwrap()));
    let snapshot = receiver.snapshot();
    assert!(
        matches!(snapshot.answer("other"), Some(Answer::Refused(why)) if why.contains("70000"))
    );
    receiver.update(services(&[("other", &service("other", &[80]))]));
    assert!(receiver.snapshot().answer("other").is_none(), "its endpoints are not known yet");
    assert_eq!(receiver.set_aside().len(), 1);
}

#[test]
fn a_removed_service_takes_its_endpoints_along_and_may_come_back() {
    let mut receiver = hello(&["a"]);
    let before = on_80(&mut receiver);
    let change = receiver.update(removed(type_url::SERVICE, &["hello"]));
    assert_eq!(change.left.iter().map(|it| it.id).collect::<Vec<_>>(), [before[0].id]);
    assert!(find(&mut receiver, "hello").is_none());
    assert!(matches!(receiver.snapshot().answer("hello"), Some(Answer::Denied)));

    // Its endpoints come first, as the control plane sends them.
    receiver.update(endpoints(&[&endpoint("b")]));
    assert!(find(&mut receiver, "hello").is_none());
    assert!(receiver.update(services(&[("hello", &service("hello", &[80]))])).is_visible);
    let after = on_80(&mut receiver);
    assert_eq!(workloads(&after), ["a", "b"]);
    assert_ne!(after[0].id, before[0].id);
}

#[test]
fn a_service_denied_by_one_name_lives_on_by_the_other() {
    let mut receiver = hello(&["a"]);
    receiver.ask(HELLO);
    receiver.update(services(&[(HELLO, &service("hello", &[80]))]));
    let change = receiver.update(removed(type_url::SERVICE, &["hello"]));
    assert!(change.is_visible && change.left.is_empty());
    assert!(find(&mut receiver, "hello").is_none());
    assert!(find(&mut receiver, HELLO).is_some());
}

#[test]
fn a_name_that_comes_to_mean_another_host_lets_go_of_the_first() {
    let mut receiver = hello(&["a"]);
    let before = on_80(&mut receiver);
    let change = receiver.update(services(&[("hello", &service("other", &[80]))]));
    let other = "other.default.svc.cluster.local";
    assert_eq!(
        change.follow,
        [
            Follow::End(type_url::ENDPOINT, glob(HELLO)),
            Follow::Begin(type_url::ENDPOINT, glob(other))
        ]
    );
    assert_eq!(change.left.iter().map(|it| it.id).collect::<Vec<_>>(), [before[0].id]);
    assert!(change.is_visible && find(&mut receiver, "hello").is_none());
    receiver.update(endpoints_of(other, &[&endpoint("z")]));
    assert_eq!(&*find(&mut receiver, "hello").unwrap().host, other);
    assert_eq!(receiver.endpoints().count(), 1);
}

#[test]
fn a_denied_name_is_known_as_such_and_found_when_it_appears() {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    receiver.ask("hello");
    assert!(receiver.update(removed(type_url::SERVICE, &["hello"])).is_visible);
    assert!(matches!(receiver.snapshot().answer("hello"), Some(Answer::Denied)));
    let change = receiver.update(services(&[("hello", &service("hello", &[80]))]));
    assert_eq!(change.follow, [Follow::Begin(type_url::ENDPOINT, glob(HELLO))]);
    receiver.update(endpoints(&[&endpoint("a")]));
    assert!(find(&mut receiver, "hello").is_some());
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    let change = receiver.update(services(&[("hello", &service("hello", &[80]))]));
    assert_eq!(change.refused.len(), 1);
    assert_eq!(receiver.update(endpoints(&[&endpoint("a")])).refused.len(), 1);
    receiver.update(removed(type_url::SERVICE, &["hello"]));
    receiver.update(removed(type_url::ENDPOINT, &[&glob(HELLO)]));
    assert!(receiver.snapshot().names.is_empty() && receiver.endpoints().next().is_none());
}

#[test]
fn what_leads_to_us_outlives_our_removal_from_the_registry() {
    let mut receiver = Receiver::new(100, 0, Own::of("default"));
    let own = |message: &v1::Workload| {
        update(type_url::WORKLOAD, vec![added("default/hello-1", message)], &[])
    };
    assert!(receiver.snapshot().inbound().ports.is_empty());
    assert!(receiver.update(own(&workload())).is_visible);
    assert_eq!(receiver.snapshot().inbound().find(HELLO, 80).unwrap().target_port, 8080);
    assert!(!receiver.update(own(&workload())).is_visible);

    let mut bad = workload();
    bad.inbound[0].target_port = 0;
    assert_eq!(receiver.update(own(&bad)).refused.len(), 1);
    receiver.update(removed(type_url::WORKLOAD, &["default/hello-1"]));
    assert_eq!(receiver.snapshot().inbound().find(HELLO, 80).unwrap().target_port, 8080);
    let mut changed = workload();
    changed.inbound.clear();
    assert!(receiver.update(own(&changed)).is_visible);
    assert!(receiver.snapshot().inbound().ports.is_empty());
}

#[test]
fn turns_are_exact_while_snapshots_change() {
    let mut receiver = hello(&["a", "b", "c"]);
    receiver.ask("other");
    let host = "other.default.svc.cluster.local";
    receiver.update(services(&[("other", &service("other", &[80]))]));
    let mut counts = BTreeMap::new();
    for turn in 0..300u32 {
        let mut other = endpoint("x");
        other.weight = turn + 1;
        assert!(receiver.update(endpoints_of(host, &[&other])).is_visible);
        if turn == 100 {
            // Its own service changes, but not its endpoints.
            let mut changed = service("hello", &[80]);
            changed.ports[0].name = "http-web".into();
            receiver.update(services(&[("hello", &changed)]));
        }
        let service = find(&mut receiver, "hello").unwrap();
        let picked =
            service.cluster(80).unwrap().pick(&Ask::default(), &[]).unwrap().1.workload.to_string();
        *counts.entry(picked).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [100, 100, 100]);
}

#[test]
fn of_too_many_names_the_unknown_go_first_and_of_those_the_oldest() {
    let mut receiver = Receiver::new(10, 0, Own::of("default"));
    receiver.ask("hello");
    receiver.update(services(&[("hello", &service("hello", &[80]))]));
    receiver.update(endpoints(&[&endpoint("a")]));
    for number in 1..10 {
        let name = format!("none-{number}");
        receiver.ask(&name);
        receiver.update(removed(type_url::SERVICE, &[&name]));
    }
    // Looked up since.
    assert!(receiver.snapshot().answer("none-1").is_some());
    let change = receiver.ask("new");
    assert_eq!(
        change.follow,
        [
            Follow::End(type_url::SERVICE, "none-2".into()),
            Follow::Begin(type_url::SERVICE, "new".into())
        ]
    );
    assert!(change.is_visible);
    let snapshot = receiver.snapshot();
    assert!(snapshot.answer("none-2").is_none() && snapshot.answer("none-1").is_some());
    assert!(snapshot.find("hello").is_some());
}

#[test]
fn where_all_names_are_services_the_least_used_makes_room() {
    let mut receiver = Receiver::new(2, 0, Own::of("default"));
    for name in ["a", "b"] {
        receiver.ask(name);
        receiver.update(services(&[(name, &service(name, &[80]))]));
        let host = format!("{name}.default.svc.cluster.local");
        receiver.update(endpoints_of(&host, &[&endpoint(name)]));
    }
    assert!(receiver.snapshot().find("a").is_some());
    let before = receiver.names.len();
    let change = receiver.ask("c");
    assert_eq!((before, receiver.names.len()), (2, 2));
    assert_eq!(workloads(&change.left), ["b"]);
    assert!(
        change
            .follow
            .contains(&Follow::End(type_url::ENDPOINT, "b.default.svc.cluster.local/*".into()))
    );
    let snapshot = receiver.snapshot();
    assert!(snapshot.find("a").is_some() && snapshot.find("b").is_none());
}

#[test]
fn an_endpoint_that_is_reached_as_before_keeps_its_connections() {
    let mut receiver = Receiver::new(10, 0, Own::of("default"));
    receiver.ask("hello");
    receiver.update(services(&[("hello", &service("hello", &[80]))]));
    let mut message = endpoint("a");
    receiver.update(endpoints(&[&message]));
    let now = |receiver: &mut Receiver| {
        let snapshot = receiver.snapshot();
        snapshot.find("hello").unwrap().cluster(80).unwrap().endpoints()[0].clone()
    };
    let first = now(&mut receiver);

    message.weight = 7;
    let change = receiver.update(endpoints(&[&message]));
    let heavier = now(&mut receiver);
    assert!(change.left.is_empty() && change.is_visible);
    assert_eq!((heavier.presence.id, heavier.weight), (first.presence.id, 7));
    assert_ne!(heavier.id, first.id, "labels and weight are told apart in metrics");

    message.address = "127.0.0.9".into();
    let change = receiver.update(endpoints(&[&message]));
    let moved = now(&mut receiver);
    let left: Vec<u64> = change.left.iter().map(|it| it.presence.id).collect();
    assert_eq!(left, [first.presence.id]);
    assert_ne!(moved.presence.id, first.presence.id);
}
