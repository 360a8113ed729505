//! Listeners of Sidecars that nothing leads through: no service has their port.

use meltemi_api::istio::sidecar::{EgressListener, IngressListener, Sidecar};
use meltemi_api::values::PortOrName;
use meltemi_api::{Kind, Resource, Severity};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, Host};

use super::super::finding::{Code, Finding};
use super::super::mesh::Mesh;

/// Tells of listeners without a service.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    for object in mesh.of(Kind::Sidecar) {
        let Resource::Sidecar(sidecar) = &object.resource else { continue };
        let mut tell = |path: String, message: String| {
            let what = (Severity::Warning, Code::ListenerWithoutService);
            findings.push(Finding::of(&object.resource, path, what, message));
        };
        for (at, listener) in sidecar.spec.ingress.iter().enumerate() {
            if let Some(message) = inbound(mesh, sidecar, listener) {
                tell(format!("spec.ingress[{at}].port"), message);
            }
        }
        for (at, listener) in sidecar.spec.egress.iter().enumerate() {
            if let Some(message) = outbound(mesh, sidecar, listener) {
                tell(format!("spec.egress[{at}].port"), message);
            }
        }
    }
}

/// What is wrong with a listener for what comes in. A port that a service names may be any of a workload's.
fn inbound(mesh: &Mesh, sidecar: &Sidecar, listener: &IngressListener) -> Option<String> {
    let number = listener.port.number?.number();
    let leads = |name: &str, target: u16| {
        target == number || (!name.is_empty() && name == listener.port.name)
    };
    let is_own = |resource: &Resource| {
        let namespace = &resource.metadata().namespace;
        // One in the root namespace is for others too.
        *namespace == sidecar.metadata.namespace || sidecar.spec.workload_selector.is_none()
    };
    let is_reached = services(mesh).filter(|resource| is_own(resource)).any(|it| match it {
        Resource::Service(service) => {
            service.spec.ports.iter().any(|port| match &port.target_port {
                Some(PortOrName::Name(_)) => true,
                Some(PortOrName::Number(target)) => leads(&port.name, target.number()),
                None => leads(&port.name, port.port.number()),
            })
        }
        Resource::ServiceEntry(entry) => entry
            .spec
            .ports
            .iter()
            .any(|port| leads(&port.name, port.target_port.unwrap_or(port.number).number())),
        _ => false,
    });
    (!is_reached).then(|| {
        format!("no service leads to port {number} of a workload: nothing comes to this listener")
    })
}

/// What is wrong with a listener for what goes out.
fn outbound(mesh: &Mesh, sidecar: &Sidecar, listener: &EgressListener) -> Option<String> {
    let number = listener.port.as_ref()?.number?.number();
    let is_carried = |namespace: &str, host: &str| {
        let patterns = listener.hosts.iter().filter_map(|it| it.split_once('/'));
        let mut patterns = patterns.filter_map(|(of, host)| Some((of, host.parse::<Host>().ok()?)));
        patterns.any(|(of, pattern)| {
            let of = if of == "." { &*sidecar.metadata.namespace } else { of };
            (of == "*" || of == namespace)
                && (pattern.covers(host)
                    || host.parse::<Host>().is_ok_and(|host| host.covers(pattern.as_str())))
        })
    };
    let is_there = services(mesh).any(|resource| {
        let metadata = resource.metadata();
        let namespace = metadata.namespace.as_str();
        match resource {
            Resource::Service(service) => {
                let host = format!("{}.{namespace}.{DEFAULT_DOMAIN_SUFFIX}", metadata.name);
                is_carried(namespace, &host)
                    && service.spec.ports.iter().any(|port| port.port.number() == number)
            }
            Resource::ServiceEntry(entry) => {
                entry.spec.hosts.iter().any(|host| is_carried(namespace, host))
                    && entry.spec.ports.iter().any(|port| port.number.number() == number)
            }
            _ => false,
        }
    });
    (!is_there).then(|| {
        format!("no service among its hosts has port {number}: this listener carries nothing")
    })
}

fn services(mesh: &Mesh) -> impl Iterator<Item = &Resource> {
    let services = mesh.of(Kind::Service).iter().chain(mesh.of(Kind::ServiceEntry));
    services.map(|object| &object.resource)
}
