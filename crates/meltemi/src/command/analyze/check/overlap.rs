//! Virtual services for the same host: inside the mesh one of them counts, and nothing is merged.

use std::collections::BTreeMap;

use meltemi_api::istio::virtual_service::VirtualService;
use meltemi_api::metadata::ObjectMeta;
use meltemi_api::{Kind, Resource, Severity};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, expand_host};

use super::super::finding::{Code, Finding};
use super::super::mesh::Mesh;

/// The gateway that stands for all sidecars, and is meant where none is named.
const MESH: &str = "mesh";

/// Tells of virtual services that an older one hides from somebody.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    let mut hosts: BTreeMap<String, Vec<(&Resource, &VirtualService, usize)>> = BTreeMap::new();
    for object in mesh.of(Kind::VirtualService) {
        let Resource::VirtualService(service) = &object.resource else { continue };
        if !is_for_sidecars(service) {
            continue;
        }
        for (at, host) in service.spec.hosts.iter().enumerate() {
            let host = expand_host(host, &service.metadata.namespace, DEFAULT_DOMAIN_SUFFIX);
            hosts.entry(host).or_default().push((&object.resource, service, at));
        }
    }
    for (host, mut services) in hosts {
        services.sort_by_key(|(_, service, _)| age(&service.metadata));
        for (at, (resource, service, index)) in services.iter().enumerate() {
            let older = services[..at].iter().map(|(_, older, _)| older);
            let Some(older) = older.into_iter().find(|older| meet(older, service)) else {
                continue;
            };
            if is_told(mesh, service, &host) {
                continue;
            }
            let message = format!(
                "{host} is also a host of VirtualService {}/{}, which is older and goes before this one: make one of the two",
                older.metadata.namespace, older.metadata.name
            );
            let code = Code::ConflictingMeshGatewayVirtualServiceHosts;
            let path = format!("spec.hosts[{index}]");
            findings.push(Finding::of(resource, path, (Severity::Warning, code), message));
        }
    }
}

/// Whether the control plane itself says that it is set aside for this host.
fn is_told(mesh: &Mesh, service: &VirtualService, host: &str) -> bool {
    mesh.rejected.iter().any(|it| {
        it.kind == Kind::VirtualService.kind()
            && (&it.namespace, &it.name) == (&service.metadata.namespace, &service.metadata.name)
            && it.reason.contains(host)
    })
}

fn is_for_sidecars(service: &VirtualService) -> bool {
    let gateways = &service.spec.gateways;
    gateways.is_empty() || gateways.iter().any(|gateway| gateway == MESH)
}

/// By what one goes before another.
pub(super) fn age(metadata: &ObjectMeta) -> (&str, &str, &str) {
    (&metadata.creation_timestamp, &metadata.namespace, &metadata.name)
}

/// Whether callers of some namespace see both.
fn meet(one: &VirtualService, other: &VirtualService) -> bool {
    let (one, other) = (exports(one), exports(other));
    one.contains(&"*") || other.contains(&"*") || one.iter().any(|it| other.contains(it))
}

fn exports(service: &VirtualService) -> Vec<&str> {
    let exports = &service.spec.export_to;
    match exports.is_empty() {
        true => vec!["*"],
        false => exports
            .iter()
            .map(|to| if to == "." { &*service.metadata.namespace } else { &**to })
            .collect(),
    }
}
