use super::*;
use crate::xds::{Any, Resource};

const TYPE: &str = "t/Endpoint";

fn resource(name: &str, version: &str) -> Resource {
    let body = Any { type_url: TYPE.into(), value: version.as_bytes().to_vec() };
    Resource {
        name: name.into(),
        version: version.into(),
        resource: Some(body),
        ..Resource::default()
    }
}

fn response(nonce: &str, added: &[(&str, &str)], removed: &[&str]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: TYPE.into(),
        nonce: nonce.into(),
        resources: added.iter().map(|(name, version)| resource(name, version)).collect(),
        removed_resources: removed.iter().map(|name| (*name).into()).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

fn client() -> Client {
    let mut client = Client::new(Node { id: "me".into(), ..Node::default() });
    client.subscribe(TYPE, "a/*");
    client.subscribe(TYPE, "b");
    client
}

#[test]
fn the_first_request_carries_node_and_all_subscriptions_and_the_next_only_what_is_new() {
    let mut client = client();
    assert!(client.outgoing().is_empty(), "nothing is sent without a stream");
    let first = client.connected();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].node.as_ref().unwrap().id, "me");
    assert_eq!(first[0].resource_names_subscribe, ["a/*", "b"]);
    assert!(!client.subscribe(TYPE, "b"), "known already");
    client.subscribe(TYPE, "c");
    client.unsubscribe(TYPE, "b");
    let next = client.outgoing();
    assert_eq!(next[0].node, None);
    assert_eq!(next[0].resource_names_subscribe, ["c"]);
    assert_eq!(next[0].resource_names_unsubscribe, ["b"]);
    assert!(client.outgoing().is_empty());
}

#[test]
fn a_new_stream_is_told_which_versions_are_held() {
    let mut client = client();
    client.connected();
    let mut told = Vec::new();
    let ack =
        client.exchange(response("1", &[("a/x", "1"), ("a/y", "1"), ("b", "7")], &[]), |update| {
            told.extend(update.added.into_iter().map(|it| it.name));
            Vec::new()
        });
    assert_eq!(told, ["a/x", "a/y", "b"]);
    assert_eq!((ack.response_nonce.as_str(), ack.error_detail), ("1", None));
    client.exchange(response("2", &[], &["a/y"]), |_| Vec::new());
    client.disconnected();
    client.subscribe(TYPE, "c");
    let again = client.connected();
    let held: BTreeMap<_, _> = again[0].initial_resource_versions.clone().into_iter().collect();
    assert_eq!(held, [("a/x".into(), "1".into()), ("b".into(), "7".into())].into());
    assert_eq!(again[0].resource_names_subscribe, ["a/*", "b", "c"]);
}

#[test]
fn a_bad_resource_is_refused_by_name_and_the_good_ones_beside_it_are_kept() {
    let mut client = client();
    client.connected();
    client.exchange(response("1", &[("a/x", "1")], &[]), |_| Vec::new());
    let nack = client.exchange(response("2", &[("a/x", "2"), ("b", "2")], &[]), |_| {
        vec![Refused { name: "a/x".into(), reason: "no address".into() }]
    });
    assert_eq!(nack.response_nonce, "2");
    let detail = nack.error_detail.unwrap();
    assert_eq!((detail.code, detail.message.as_str()), (INVALID_ARGUMENT, "a/x: no address"));
    let held = &client.connected()[0].initial_resource_versions;
    assert_eq!((held["a/x"].as_str(), held["b"].as_str()), ("1", "2"));
}

#[test]
fn what_is_not_subscribed_to_is_neither_told_nor_kept() {
    let mut client = client();
    client.connected();
    client.unsubscribe(TYPE, "a/*");
    let mut told = None;
    client.exchange(response("1", &[("a/x", "1"), ("b", "1")], &["a/z", "a/*"]), |update| {
        told = Some(update);
        Vec::new()
    });
    let told = told.unwrap();
    assert_eq!(told.added.len(), 1);
    assert_eq!(told.removed, Vec::<String>::new());
    assert_eq!(client.connected()[0].initial_resource_versions.len(), 1);
}

#[test]
fn an_empty_glob_and_an_unsubscribed_one_forget_their_members() {
    for removed in [true, false] {
        let mut client = client();
        client.connected();
        client.exchange(response("1", &[("a/x", "1")], &[]), |_| Vec::new());
        match removed {
            true => drop(client.exchange(response("2", &[], &["a/*"]), |_| Vec::new())),
            false => {
                client.unsubscribe(TYPE, "a/*");
            }
        }
        assert!(client.connected()[0].initial_resource_versions.is_empty());
    }
}

#[test]
fn an_explanation_is_cut_between_characters() {
    let refused = [Refused { name: "x".into(), reason: "ä".repeat(MAX_EXPLANATION) }];
    let message = explanation(&refused).unwrap().message;
    assert!(message.len() <= MAX_EXPLANATION && message.len() > MAX_EXPLANATION - 4);
}

#[test]
fn versions_from_a_cache_are_told_for_subscribed_names_only() {
    let mut client = client();
    client.hold(TYPE, "a/x", "9");
    client.hold(TYPE, "z", "9");
    let held = &client.connected()[0].initial_resource_versions;
    assert_eq!((held.len(), held["a/x"].as_str()), (1, "9"));
}
