//! The delta stream: what a client may say to the control plane, and what a control plane may say to a client.

use meltemi_wire::delta::client::Client;
use meltemi_wire::delta::server::{Found, Session, Source};
use meltemi_wire::type_url;
use meltemi_wire::xds::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use prost::Message;

/// Two endpoints of one host, and a service.
struct World;

impl Source for World {
    fn find(&self, _: &str, name: &str) -> Option<Found<'_>> {
        let is_there = ["a/x", "a/y", "s"].contains(&name);
        is_there.then_some(Found { version: "1", body: b"body" })
    }

    fn members(&self, _: &str, prefix: &str, each: &mut dyn FnMut(&str)) {
        if prefix == "a" {
            ["a/x", "a/y"].into_iter().for_each(each);
        }
    }
}

/// Messages one after the other, each behind its length in one byte times 4.
fn messages<M: Message + Default>(mut bytes: &[u8]) -> impl Iterator<Item = M> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first()?;
        let length = rest.len().min(usize::from(*length) * 4);
        let (message, rest) = rest.split_at(length);
        bytes = rest;
        M::decode(message).ok()
    })
}

/// Requests of a client: each question gets one answer, about no more than was asked, and the session remembers no name
/// that is not subscribed to.
pub fn delta_server(bytes: &[u8]) {
    let mut session = Session::new();
    for mut request in messages::<DeltaDiscoveryRequest>(bytes) {
        request.type_url = type_url::ENDPOINT.into();
        let asked = session.request(request);
        let answer = session.answer(&asked, &World);
        assert_eq!(answer.is_some(), asked.is_question());
        for resource in answer.iter().flat_map(|answer| &answer.resources) {
            assert!(session.is_subscribed(type_url::ENDPOINT, &resource.name));
            assert!(session.may_use(type_url::ENDPOINT, &resource.name));
        }
        assert!(session.changed(type_url::ENDPOINT, ["a/x", "a/y", "s"], &World).is_none());
    }
}

/// Responses of a control plane: nothing is taken that was not asked for, and each is answered.
pub fn delta_client(bytes: &[u8]) {
    let mut client = Client::new(Node::default());
    client.subscribe(type_url::ENDPOINT, "a/*");
    client.subscribe(type_url::ENDPOINT, "s");
    client.connected();
    for mut response in messages::<DeltaDiscoveryResponse>(bytes) {
        response.type_url = type_url::ENDPOINT.into();
        let nonce = response.nonce.clone();
        let mut taken = Vec::new();
        let answer = client.exchange(response, |update| {
            taken.extend(update.added.into_iter().map(|added| added.name));
            Vec::new()
        });
        assert_eq!(answer.response_nonce, nonce);
        assert!(taken.iter().all(|name| client.is_subscribed(type_url::ENDPOINT, name)));
    }
}
