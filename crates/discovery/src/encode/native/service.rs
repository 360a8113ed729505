//! A service, as every caller gets it.

use meltemi_model::{Resolution, Service};
use meltemi_wire::proto::meltemi::v1;

use super::rules::Rules;

/// The message; the same whatever name it was asked for by.
pub(crate) fn message(service: &Service, rules: &mut Rules) -> v1::Service {
    let resolution = match service.resolution {
        Resolution::Static => v1::Resolution::Static,
        Resolution::Dns => v1::Resolution::Dns,
        Resolution::DnsRoundRobin => v1::Resolution::DnsRoundRobin,
        Resolution::None => v1::Resolution::None,
        Resolution::DynamicDns => v1::Resolution::DynamicDns,
    };
    let ports = service.ports.iter().map(|port| v1::ServicePort {
        number: port.number.into(),
        name: port.name.clone(),
        protocol: v1::Protocol::from(port.protocol).into(),
    });
    v1::Service {
        host: service.host.to_string(),
        namespace: service.namespace.to_string(),
        name: service.name.to_string(),
        ports: ports.collect(),
        external: service.external,
        resolution: resolution.into(),
        virtual_services: rules.virtual_services(&service.rules.virtual_services),
        destination_rules: rules.destination_rules(&service.rules.destination_rules),
        r#virtual: service.is_virtual,
        addresses: service.addresses.to_vec(),
        subject_alt_names: service.subject_alt_names.to_vec(),
    }
}
