//! An endpoint, as every caller of its service gets it.

use meltemi_model::Endpoint;
use meltemi_names::DEFAULT_CLUSTER;
use meltemi_wire::proto::meltemi::v1;

/// The message; `ejection` as it has it.
pub(crate) fn message(endpoint: &Endpoint, ejection: u64) -> v1::Endpoint {
    let tls_mode = match endpoint.mutual_tls {
        Some(_) => v1::TlsMode::IstioMutual,
        None => v1::TlsMode::Disable,
    };
    // Without mutual TLS nobody proves an identity.
    let identity = endpoint.identity.as_ref().filter(|_| endpoint.mutual_tls.is_some());
    let ports = endpoint.ports.iter().map(|(service_port, target_port)| v1::PortMapping {
        service_port: (*service_port).into(),
        target_port: (*target_port).into(),
        plaintext: endpoint.plaintext.contains(target_port),
    });
    v1::Endpoint {
        workload: endpoint.workload.to_string(),
        namespace: endpoint.namespace.to_string(),
        address: endpoint.address.clone(),
        ports: ports.collect(),
        inbound_port: endpoint.mutual_tls.unwrap_or_default().into(),
        tls_mode: tls_mode.into(),
        identity: identity.map(ToString::to_string).unwrap_or_default(),
        labels: (*endpoint.labels).clone(),
        locality: endpoint.locality.clone(),
        weight: endpoint.weight,
        workload_name: endpoint.workload_name(),
        canonical_service: endpoint.canonical_service().into(),
        canonical_revision: endpoint.canonical_revision().into(),
        cluster: DEFAULT_CLUSTER.into(),
        network: endpoint.network.clone(),
        ejection,
    }
}
