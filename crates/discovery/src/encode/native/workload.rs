//! A workload, as its own sidecar gets it.

use std::sync::Arc;

use meltemi_model::{Credential, Workload};
use meltemi_policy::path::Normalization;
use meltemi_policy::peer::Mode;
use meltemi_wire::proto::meltemi::v1;

use super::{rules, sidecar};

/// The message.
pub(crate) fn message(workload: &Workload, rules: &mut rules::Rules) -> v1::Workload {
    let inbound = workload.inbound.iter().map(|port| v1::InboundPort {
        host: port.host.to_string(),
        service_port: port.service_port.into(),
        target_port: port.target_port.into(),
        protocol: v1::Protocol::from(port.protocol).into(),
        service_name: port.service_name.to_string(),
        service_namespace: port.service_namespace.to_string(),
        mode: mode(port.mode).into(),
        port_name: port.port_name.clone(),
    });
    v1::Workload {
        name: workload.name.to_string(),
        namespace: workload.namespace.to_string(),
        inbound: inbound.collect(),
        labels: (*workload.labels).clone(),
        locality: workload.locality.clone(),
        network: workload.network.clone(),
        sidecar: workload.sidecar.as_deref().map(|it| sidecar::message(it, &workload.namespace)),
        request_authentications: rules.request_authentications(&workload.request_authentications),
        authorization_policies: rules.authorization_policies(&workload.authorization_policies),
        num_trusted_proxies: workload.num_trusted_proxies,
        extension_providers: rules.extension_providers(&workload.extension_providers),
        path_normalization: path_normalization(workload.path_normalization).into(),
        credentials: workload
            .credentials
            .iter()
            .map(|(name, it)| (name.clone(), credential(it)))
            .collect(),
        address: workload.address.clone(),
    }
}

fn credential(credential: &Credential) -> v1::Credential {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    v1::Credential {
        certificate: text(&credential.certificate),
        private_key: text(&credential.private_key),
        ca_certificates: text(&credential.ca_certificates),
        ca_crl: text(&credential.ca_crl),
    }
}

fn mode(mode: Mode) -> v1::PeerAuthenticationMode {
    match mode {
        Mode::Strict => v1::PeerAuthenticationMode::StrictMode,
        Mode::Permissive => v1::PeerAuthenticationMode::PermissiveMode,
        Mode::Disable => v1::PeerAuthenticationMode::DisableMode,
    }
}

fn path_normalization(how: Normalization) -> v1::PathNormalization {
    match how {
        Normalization::None => v1::PathNormalization::NoneNormalization,
        Normalization::Base => v1::PathNormalization::Base,
        Normalization::MergeSlashes => v1::PathNormalization::MergeSlashes,
        Normalization::DecodeAndMergeSlashes => v1::PathNormalization::DecodeAndMergeSlashes,
    }
}
