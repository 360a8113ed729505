use std::sync::Arc;

use meltemi_policy::balance::Ask;
use meltemi_policy::outlier::Outcome;
use meltemi_wire::type_url;

use crate::config::fixture::{
    HELLO, added, built, endpoint, endpoints, removed, service, services, update,
};
use crate::config::receive::Receiver;
use crate::config::{Cluster, Endpoint, Own};

fn pick<'c>(cluster: &'c Cluster, tried: &[u64]) -> Option<&'c Endpoint> {
    cluster.pick(&Ask::default(), tried).map(|(_, endpoint)| &**endpoint)
}

#[test]
fn weights_are_shares() {
    let mut heavy = endpoint("b");
    heavy.weight = 3;
    let service = built(&service("hello", &[80]), &[endpoint("a"), heavy]);
    let cluster = service.cluster(80).unwrap();
    let heavy = (0..400).filter(|_| &*pick(cluster, &[]).unwrap().workload == "b").count();
    assert_eq!(heavy, 300);
}

#[test]
fn turns_are_exact_over_threads() {
    let names = ["a", "b", "c"];
    let service = built(&service("hello", &[80]), &names.map(endpoint));
    let cluster = service.cluster(80).unwrap();
    let pick = || {
        let picked = (0..75).map(|_| pick(cluster, &[]).unwrap().workload.to_string());
        picked.collect::<Vec<String>>()
    };
    let picked = std::thread::scope(|scope| {
        [(); 4].map(|()| scope.spawn(pick)).map(|thread| thread.join().unwrap()).concat()
    });
    for name in names {
        assert_eq!(picked.iter().filter(|it| *it == name).count(), 100);
    }
}

#[test]
fn endpoints_that_were_tried_are_passed_over_while_others_are_left() {
    let mut heavy = endpoint("c");
    heavy.weight = 5;
    let service = built(&service("hello", &[80]), &[endpoint("a"), endpoint("b"), heavy]);
    let cluster = service.cluster(80).unwrap();
    let all: Vec<u64> = cluster.endpoints().iter().map(|it| it.presence.id).collect();
    for _ in 0..21 {
        let mut tried = Vec::new();
        for _ in 0..3 {
            tried.push(pick(cluster, &tried).unwrap().presence.id);
        }
        assert!(pick(cluster, &tried).is_some(), "all were tried: any is better than none");
        tried.sort();
        assert_eq!(tried, all);
    }
}

#[test]
fn without_endpoints_there_is_nothing_to_pick() {
    let service = built(&service("hello", &[80]), &[]);
    assert!(pick(service.cluster(80).unwrap(), &[]).is_none());
    assert!(pick(service.cluster(80).unwrap(), &[1]).is_none());
    assert!(service.cluster(81).is_none());
}

/// The default of outlier detection: five failures in a row.
fn fail(cluster: &Cluster, workload: &str) {
    let at = cluster.endpoints().iter().position(|it| &*it.workload == workload).unwrap();
    (0..5).for_each(|_| cluster.record(at, Outcome::Answered(500)));
}

#[test]
fn an_ejection_that_an_older_version_brings_about_holds_for_the_newer_ones() {
    let names = ["a", "b", "c", "d"].map(endpoint);
    let mut receiver = Receiver::new(1, 0, Own::of("default"));
    receiver.ask("it");
    receiver.update(services(&[("it", &service("hello", &[80]))]));
    receiver.update(removed(type_url::ENDPOINT, &[&format!("{HELLO}/*")]));
    receiver.update(endpoints(&names.iter().collect::<Vec<_>>()));
    let now = |receiver: &mut Receiver| -> Arc<Cluster> {
        receiver.snapshot().find("it").unwrap().cluster(80).unwrap().clone()
    };
    let old = now(&mut receiver);
    fail(&old, "a");
    // A change of another endpoint makes another version.
    let mut changed = endpoint("d");
    changed.weight = 2;
    receiver.update(update(type_url::ENDPOINT, vec![added(&format!("{HELLO}/d"), &changed)], &[]));
    let new = now(&mut receiver);
    assert!(!Arc::ptr_eq(&old, &new));
    let picked = |cluster: &Cluster, name: &str| {
        (0..40).filter(|_| &*pick(cluster, &[]).unwrap().workload == name).count()
    };
    assert_eq!((picked(&new, "a"), new.ejections()), (0, Some((1, 1))));
    assert!(picked(&new, "b") > 0);
    // A request that the older one had sent.
    fail(&old, "b");
    assert_eq!((picked(&new, "b"), new.ejections()), (0, Some((2, 2))));
    assert_eq!(picked(&old, "b"), 0);
}
