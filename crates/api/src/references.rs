//! What a resource points to, and which of that is nowhere.

use std::fmt;

use meltemi_names::Host;

use crate::parse::Parsed;
use crate::refuse::{Path, Report};
use crate::{Finding, Kind, Resource};

mod gateway_api;
mod istio;

/// Something that a field of a resource points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field.
    pub path: Path,
    /// What it points to.
    pub target: Target,
}

/// What a reference points to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host that a service or a service entry has.
    Host {
        /// As it is written.
        host: String,
        /// The namespace that a short name belongs to.
        namespace: String,
    },
    /// A port of a host.
    Port {
        /// The host as it is written.
        host: String,
        /// The namespace that a short name belongs to.
        namespace: String,
        /// Its number.
        port: u16,
    },
    /// A subset of a host, by a destination rule.
    Subset {
        /// The host as it is written.
        host: String,
        /// The namespace that a short name belongs to.
        namespace: String,
        /// The subset's name.
        subset: String,
    },
    /// An object.
    Object {
        /// Its kind.
        kind: Kind,
        /// Its namespace; `None` where any namespace will do.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
}

impl Target {
    /// Whether the resource is, or has, what is pointed to.
    pub fn is_met_by(&self, resource: &Resource) -> bool {
        let metadata = resource.metadata();
        match self {
            Target::Object { kind, namespace, name } => {
                let is_there = |it: &String| *it == metadata.namespace;
                resource.kind() == *kind
                    && metadata.name == *name
                    && namespace.as_ref().is_none_or(is_there)
            }
            Target::Host { host, namespace } => match resource {
                Resource::Service(_) => {
                    canonical(host, namespace) == canonical(&metadata.name, &metadata.namespace)
                }
                Resource::ServiceEntry(entry) => {
                    entry.spec.hosts.iter().any(|it| covers(it, &host.to_ascii_lowercase()))
                }
                _ => false,
            },
            Target::Port { port, .. } => {
                self.host().is_some_and(|host| host.is_met_by(resource))
                    && match resource {
                        Resource::Service(it) => {
                            it.spec.ports.iter().any(|it| it.port.number() == *port)
                        }
                        Resource::ServiceEntry(it) => {
                            it.spec.ports.iter().any(|it| it.number.number() == *port)
                        }
                        _ => false,
                    }
            }
            Target::Subset { host, namespace, subset } => match resource {
                Resource::DestinationRule(rule) => {
                    let own = canonical(&rule.spec.host, &metadata.namespace);
                    let called = canonical(host, namespace);
                    let is_host = covers(&own, &called)
                        || covers(&own, &host.to_ascii_lowercase())
                        || (called.ends_with(".svc") && covers_in_mesh(&own, &called));
                    is_host && rule.spec.subsets.iter().any(|it| it.name == *subset)
                }
                _ => false,
            },
        }
    }

    /// The kinds among which it is to be looked for.
    pub fn kinds(&self) -> Vec<Kind> {
        match self {
            Target::Host { .. } | Target::Port { .. } => vec![Kind::Service, Kind::ServiceEntry],
            Target::Subset { .. } => vec![Kind::DestinationRule],
            Target::Object { kind, .. } => vec![*kind],
        }
    }

    /// The host that a port is of: without it there is nothing to say of the port.
    pub fn host(&self) -> Option<Target> {
        match self {
            Target::Port { host, namespace, .. } => {
                Some(Target::Host { host: host.clone(), namespace: namespace.clone() })
            }
            _ => None,
        }
    }
}

/// Whether the host, perhaps with a wildcard, stands for the name.
fn covers(host: &str, name: &str) -> bool {
    host.parse::<Host>().is_ok_and(|host| host.covers(name))
}

/// The domain of services' full names, where the mesh has no other.
const DOMAIN: &str = "cluster.local";

/// Whether a wildcard stands for a service of the mesh, `NAME.NAMESPACE.svc`, by its full name: `*.svc.cluster.local` and
/// `*.local` do. Objects do not tell which domain the mesh has, so that after `svc` any will do.
fn covers_in_mesh(host: &str, service: &str) -> bool {
    let domain = host.strip_prefix("*.").map_or("", |end| match end.find("svc.") {
        Some(0) => &end[4..],
        Some(at) if end[..at].ends_with('.') => &end[at + 4..],
        _ => DOMAIN,
    });
    !domain.is_empty() && covers(host, &format!("{service}.{domain}"))
}

/// One word for a host, however it is written: `NAME.NAMESPACE.svc` for those of the mesh, whatever its suffix.
fn canonical(host: &str, namespace: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let parts: Vec<&str> = host.splitn(4, '.').collect();
    match parts.as_slice() {
        [name] if *name != "*" => format!("{name}.{namespace}.svc"),
        [name, namespace, "svc", ..] => format!("{name}.{namespace}.svc"),
        _ => host,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host { host, namespace } if !host.contains('.') => {
                write!(f, "service `{host}` in namespace `{namespace}`")
            }
            Target::Host { host, .. } => write!(f, "service or service entry for host `{host}`"),
            Target::Port { host, port, .. } => write!(f, "port {port} of `{host}`"),
            Target::Subset { host, subset, .. } => {
                write!(f, "destination rule with subset `{subset}` of `{host}`")
            }
            Target::Object { kind, namespace: Some(namespace), name } => {
                write!(f, "{kind} `{name}` in namespace `{namespace}`")
            }
            Target::Object { kind, namespace: None, name } => write!(f, "{kind} `{name}`"),
        }
    }
}

/// All that a resource points to.
pub fn references(resource: &Resource) -> Vec<Reference> {
    let mut collected =
        Collected { namespace: resource.metadata().namespace.clone(), references: Vec::new() };
    match resource {
        Resource::VirtualService(it) => collected.virtual_service(&it.spec),
        Resource::DestinationRule(it) => collected.destination_rule(&it.spec),
        Resource::Gateway(it) => collected.istio_gateway(&it.spec),
        Resource::Sidecar(it) => collected.sidecar(&it.spec),
        Resource::AuthorizationPolicy(it) => {
            collected.policy_targets(&it.spec.target_ref, &it.spec.target_refs);
        }
        Resource::RequestAuthentication(it) => {
            collected.policy_targets(&it.spec.target_ref, &it.spec.target_refs);
        }
        Resource::Telemetry(it) => {
            collected.policy_targets(&it.spec.target_ref, &it.spec.target_refs);
        }
        Resource::WasmPlugin(it) => {
            collected.policy_targets(&it.spec.target_ref, &it.spec.target_refs);
        }
        Resource::KubernetesGateway(it) => collected.gateway(&it.spec),
        Resource::HttpRoute(it) => collected.http_route(&it.spec),
        Resource::GrpcRoute(it) => collected.grpc_route(&it.spec),
        Resource::TcpRoute(it) => collected.stream_route(&it.spec.parent_refs, &it.spec.rules),
        Resource::TlsRoute(it) => collected.stream_route(&it.spec.parent_refs, &it.spec.rules),
        _ => {}
    }
    collected.references
}

/// Warns of references to what is neither among these objects nor `known`.
pub fn dangling(objects: &[Parsed], known: impl Fn(&Reference) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in objects {
        let mut report = Report::default();
        for reference in references(&object.resource) {
            let is_there = |reference: &Reference| {
                let is_among = objects.iter().any(|it| reference.target.is_met_by(&it.resource));
                is_among || known(reference)
            };
            let host = reference.target.host();
            let host = host.map(|target| Reference { path: reference.path.clone(), target });
            if host.is_none_or(|host| is_there(&host)) && !is_there(&reference) {
                report.warn(reference.path, format!("there is no {}", reference.target));
            }
        }
        findings.extend(object.findings(report));
    }
    findings
}

/// The references found so far of one resource.
struct Collected {
    /// The resource's namespace.
    namespace: String,
    references: Vec<Reference>,
}

impl Collected {
    /// A host that is called, and perhaps a subset of it. Wildcards and addresses point to nothing in particular.
    fn host(&mut self, host: &str, subset: &str, path: Path) {
        if host.starts_with('*') || host.parse::<std::net::IpAddr>().is_ok() {
            return;
        }
        let (host, namespace) = (host.to_owned(), self.namespace.clone());
        if !subset.is_empty() {
            let target = Target::Subset {
                host: host.clone(),
                namespace: namespace.clone(),
                subset: subset.to_owned(),
            };
            let path = path.beside("subset");
            self.references.push(Reference { path, target });
        }
        self.references.push(Reference { path, target: Target::Host { host, namespace } });
    }

    /// A port of a host that is called.
    fn port(&mut self, host: &str, port: u16, path: Path) {
        if host.starts_with('*') || host.parse::<std::net::IpAddr>().is_ok() {
            return;
        }
        let namespace = self.namespace.clone();
        self.port_in(namespace, host, port, path);
    }

    /// A port of a host, whose short name belongs to a namespace.
    fn port_in(&mut self, namespace: String, host: &str, port: u16, path: Path) {
        let target = Target::Port { host: host.to_owned(), namespace, port };
        self.references.push(Reference { path, target });
    }

    fn object(&mut self, kind: Kind, namespace: Option<&str>, name: &str, path: Path) {
        let namespace = namespace.map(str::to_owned);
        let target = Target::Object { kind, namespace, name: name.to_owned() };
        self.references.push(Reference { path, target });
    }
}

#[cfg(test)]
mod tests;
