//! Whether a workload may register as it asks to.

use std::collections::BTreeSet;
use std::net::IpAddr;

use meltemi_names::{
    Protocol, SpiffeId, is_dns_label, is_dns_subdomain, is_label_key, is_label_value,
    is_peer_address,
};
use meltemi_wire::proto::meltemi::v1::RegisteredWorkload;
use tonic::Status;

/// How many ports and labels a workload may have.
const MAX_PARTS: usize = 64;
/// The longest locality, bytes.
const MAX_TEXT: usize = 253;

/// Checks that the workload is the caller's own and well-formed.
pub(super) fn admit(workload: &RegisteredWorkload, caller: &SpiffeId) -> Result<(), Status> {
    let is_own = caller.namespace() == workload.namespace
        && caller.service_account() == workload.service_account;
    if !is_own {
        return Err(Status::permission_denied(format!(
            "{caller} cannot register a workload of namespace `{}` and service account `{}`",
            workload.namespace, workload.service_account
        )));
    }
    match fault(workload) {
        Some(fault) => Err(Status::invalid_argument(fault)),
        None => Ok(()),
    }
}

fn fault(workload: &RegisteredWorkload) -> Option<String> {
    let RegisteredWorkload { name, service, group, address, ports, labels, .. } = workload;
    if !is_dns_subdomain(name) {
        return Some(format!(
            "`{name}` is not a workload's name: lower-case letters, digits, `-` and `.`"
        ));
    }
    if !service.is_empty() && !is_dns_label(service) {
        return Some(format!(
            "`{service}` is not a service's name: lower-case letters, digits and `-`, at most 63"
        ));
    }
    if !group.is_empty() && !is_dns_subdomain(group) {
        return Some(format!(
            "`{group}` is not a group's name: lower-case letters, digits and `-`"
        ));
    }
    match address.parse::<IpAddr>() {
        Ok(ip) if is_peer_address(ip) => {}
        _ => return Some(format!("`{address}` is not an IP address that peers can connect to")),
    }
    let is_port = |port: u32| (1..=65_535).contains(&port);
    if !is_port(workload.inbound_port) {
        return Some(format!(
            "{} is not a port for the sidecar's inbound listener",
            workload.inbound_port
        ));
    }
    let mut seen = BTreeSet::new();
    for port in ports {
        if !is_port(port.number) || !seen.insert(port.number) {
            return Some(format!("port {} is out of 1..65535 or named twice", port.number));
        }
        if !port.protocol.is_empty() && Protocol::parse(&port.protocol).is_none() {
            return Some(format!(
                "`{}` is not a protocol: http, http2, grpc, tcp, tls, ...",
                port.protocol
            ));
        }
    }
    let mut labels = labels.iter();
    if ports.len() > MAX_PARTS || labels.len() > MAX_PARTS {
        return Some(format!("more than {MAX_PARTS} ports or labels"));
    }
    // As Kubernetes has them: no selector could choose by another one.
    if let Some((key, value)) =
        labels.find(|(key, value)| !is_label_key(key) || !is_label_value(value))
    {
        return Some(format!(
            "`{key}: {value}` is not a label: `[DOMAIN/]NAME` and a value, both at most 63 letters, digits, `-`, `_` and `.`"
        ));
    }
    [&workload.locality, &workload.network, &workload.instance]
        .iter()
        .any(|text| text.len() > MAX_TEXT)
        .then(|| format!("a locality, network or instance longer than {MAX_TEXT}"))
}

#[cfg(test)]
mod tests {
    use meltemi_wire::proto::meltemi::v1::WorkloadPort;
    use tonic::Code;

    use super::*;

    fn workload() -> RegisteredWorkload {
        RegisteredWorkload {
            service: "hello".into(),
            namespace: "shop".into(),
            service_account: "hello".into(),
            name: "hello-1".into(),
            address: "10.0.0.1".into(),
            inbound_port: 15006,
            ports: vec![WorkloadPort { number: 8001, protocol: "http".into() }],
            ..RegisteredWorkload::default()
        }
    }

    #[test]
    fn a_workload_registers_as_itself_and_well_formed_or_not_at_all() {
        type Change = fn(&mut RegisteredWorkload);
        let caller = "spiffe://cluster.local/ns/shop/sa/hello".parse().unwrap();
        let cases: [(Change, Code, &str); 14] = [
            (|_| {}, Code::Ok, ""),
            (|w| w.service.clear(), Code::Ok, ""),
            (|w| w.namespace = "other".into(), Code::PermissionDenied, "`other`"),
            (|w| w.service_account = "root".into(), Code::PermissionDenied, "`root`"),
            (|w| w.name = "a/b".into(), Code::InvalidArgument, "`a/b`"),
            (|w| w.service = "a.b".into(), Code::InvalidArgument, "`a.b`"),
            (|w| w.group = "A/b".into(), Code::InvalidArgument, "`A/b`"),
            (|w| w.address = "0.0.0.0".into(), Code::InvalidArgument, "0.0.0.0"),
            (|w| w.address = "255.255.255.255".into(), Code::InvalidArgument, "255"),
            (|w| w.labels = [("a b".into(), "x".into())].into(), Code::InvalidArgument, "`a b: x`"),
            (|w| w.labels = [("a".into(), "x".repeat(64))].into(), Code::InvalidArgument, "label"),
            (|w| w.inbound_port = 70_000, Code::InvalidArgument, "70000"),
            (|w| w.ports[0].protocol = "htpp".into(), Code::InvalidArgument, "htpp"),
            (|w| w.ports.push(w.ports[0].clone()), Code::InvalidArgument, "8001"),
        ];
        for (change, code, part) in cases {
            let mut workload = workload();
            change(&mut workload);
            match admit(&workload, &caller) {
                Ok(()) => assert_eq!(code, Code::Ok, "{workload:?}"),
                Err(status) => {
                    assert_eq!(status.code(), code, "{status}");
                    assert!(status.message().contains(part), "{status}");
                }
            }
        }
    }
}
