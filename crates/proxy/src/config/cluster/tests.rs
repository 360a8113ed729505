use meltemi_policy::balance::Ask;

use crate::config::fixture::{built, endpoint, service};
use crate::config::{Cluster, Endpoint};

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
