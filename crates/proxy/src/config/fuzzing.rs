//! A receiver that knows a service already, for fuzz targets.

use std::sync::Arc;

use meltemi_wire::delta::client::{Added, Update};
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::type_url;
use prost::Message;

use super::receive::Receiver;
use super::{Inbound, Own, Service};

/// It takes updates and tells what is in effect.
pub(crate) struct Taker(Receiver);

impl Taker {
    /// One that has asked for `hello` and knows it, without endpoints.
    pub(crate) fn new() -> Taker {
        let mut receiver = Receiver::new(4, 0, Own::of("default"));
        receiver.ask("hello");
        let service = v1::Service {
            host: "hello.default.svc.cluster.local".into(),
            namespace: "default".into(),
            name: "hello".into(),
            ports: vec![v1::ServicePort {
                number: 80,
                name: "http".into(),
                protocol: v1::Protocol::Http.into(),
            }],
            ..v1::Service::default()
        };
        let added =
            Added { name: "hello".into(), version: "1".into(), body: service.encode_to_vec() };
        let update = |kind: &str, added, removed| Update { type_url: kind.into(), added, removed };
        receiver.update(update(type_url::SERVICE, vec![added], Vec::new()));
        let none = vec!["hello.default.svc.cluster.local/*".into()];
        receiver.update(update(type_url::ENDPOINT, Vec::new(), none));
        Taker(receiver)
    }

    /// Whether all of an update is taken.
    pub(crate) fn take(&mut self, update: Update) -> bool {
        self.0.update(update).refused.is_empty()
    }

    /// What requests see; two are equal where nothing changed.
    pub(crate) fn seen(&mut self) -> (Option<*const Service>, Arc<Inbound>) {
        let snapshot = self.0.snapshot();
        (snapshot.find("hello").map(Arc::as_ptr), snapshot.inbound().clone())
    }
}
