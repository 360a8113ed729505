//! Messages of a control plane, for tests.

use std::sync::Arc;

use meltemi_wire::delta::client::{Added, Update};
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::type_url;
use prost::Message;

use super::receive::Receiver;
use super::{Own, Service};

pub(crate) const HELLO: &str = "hello.default.svc.cluster.local";

/// A service `NAME.default.svc.cluster.local` with these ports, all of HTTP.
pub(crate) fn service(name: &str, ports: &[u32]) -> v1::Service {
    let ports = ports.iter().map(|number| v1::ServicePort {
        number: *number,
        name: "http".into(),
        protocol: v1::Protocol::Http.into(),
    });
    v1::Service {
        host: format!("{name}.default.svc.cluster.local"),
        namespace: "default".into(),
        name: name.into(),
        ports: ports.collect(),
        ..v1::Service::default()
    }
}

/// An endpoint at 127.0.0.1 with mutual TLS on port 15006, which serves port 80 on 8080.
pub(crate) fn endpoint(workload: &str) -> v1::Endpoint {
    v1::Endpoint {
        workload: workload.into(),
        namespace: "default".into(),
        address: "127.0.0.1".into(),
        ports: vec![v1::PortMapping { service_port: 80, target_port: 8080, plaintext: false }],
        inbound_port: 15006,
        tls_mode: v1::TlsMode::IstioMutual.into(),
        identity: "spiffe://cluster.local/ns/default/sa/hello".into(),
        labels: [("app".to_owned(), "hello".to_owned()), ("version".to_owned(), "v1".to_owned())]
            .into(),
        workload_name: "hello-v1".into(),
        canonical_service: "hello".into(),
        canonical_revision: "v1".into(),
        cluster: "Kubernetes".into(),
        ..v1::Endpoint::default()
    }
}

/// Our own workload, which serves port 80 of `hello` on 8080.
pub(crate) fn workload() -> v1::Workload {
    v1::Workload {
        name: "hello-1".into(),
        namespace: "default".into(),
        inbound: vec![v1::InboundPort {
            host: HELLO.into(),
            service_port: 80,
            target_port: 8080,
            protocol: v1::Protocol::Http.into(),
            service_name: "hello".into(),
            service_namespace: "default".into(),
            mode: v1::PeerAuthenticationMode::StrictMode.into(),
            ..v1::InboundPort::default()
        }],
        ..v1::Workload::default()
    }
}

/// The service as requests see it, built on the way of an update.
pub(crate) fn built(service: &v1::Service, endpoints: &[v1::Endpoint]) -> Arc<Service> {
    let mut receiver = Receiver::new(1, 0, Own::of("default"));
    receiver.ask("it");
    receiver.update(services(&[("it", service)]));
    let glob = format!("{}/*", service.host);
    receiver.update(removed(type_url::ENDPOINT, &[&glob]));
    receiver.update(endpoints_of(&service.host, &endpoints.iter().collect::<Vec<_>>()));
    receiver.snapshot().find("it").cloned().expect("messages that can be used")
}

/// A resource whose version is made of its content.
pub(crate) fn added(name: &str, message: &impl Message) -> Added {
    let body = message.encode_to_vec();
    let sum: u64 =
        body.iter().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    Added { name: name.into(), version: sum.to_string(), body }
}

/// Services, by the names asked for.
pub(crate) fn services(resources: &[(&str, &v1::Service)]) -> Update {
    update(type_url::SERVICE, resources.iter().map(|(name, it)| added(name, *it)).collect(), &[])
}

/// Endpoints of [`HELLO`].
pub(crate) fn endpoints(resources: &[&v1::Endpoint]) -> Update {
    endpoints_of(HELLO, resources)
}

/// Endpoints of a host.
pub(crate) fn endpoints_of(host: &str, resources: &[&v1::Endpoint]) -> Update {
    let named = resources.iter().map(|it| added(&format!("{host}/{}", it.workload), *it));
    update(type_url::ENDPOINT, named.collect(), &[])
}

/// The end of some resources.
pub(crate) fn removed(kind: &str, names: &[&str]) -> Update {
    update(kind, Vec::new(), names)
}

pub(crate) fn update(kind: &str, added: Vec<Added>, removed: &[&str]) -> Update {
    let removed = removed.iter().map(|name| (*name).to_owned()).collect();
    Update { type_url: kind.into(), added, removed }
}
