//! Decides where a request or a connection goes. Everything but the question to the control plane is pure.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, Protocol};
use meltemi_telemetry::ResponseFlags;

use super::counted::Counted;
use super::goal::{self, Goal};
use crate::config::{Cluster, Lookup, Resolution, Service};
use crate::http::head::Version;
use crate::listen::alpn::Inner;
use crate::upstream::route::Outside;
use crate::worker::Worker;

/// How long a request waits for the control plane to say what a name is that nobody asked for before.
pub(crate) const ON_DEMAND: Duration = Duration::from_secs(5);

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Decision {
    /// To a port of a service.
    Service(Rc<Spot>),
    /// To a host whose own address is called.
    Outside(Outside),
    /// To the service that calls to unknown hosts go to (the Sidecar's `egressProxy`).
    EgressProxy(Goal),
    /// Nowhere.
    Refuse(Refusal),
}

/// A port of a service, as a caller named it.
#[derive(Debug)]
pub(crate) struct Spot {
    /// The name that was asked for: lower case, no final dot.
    pub(crate) name: Arc<str>,
    pub(crate) service: Arc<Service>,
    pub(crate) port: u16,
    /// The endpoints behind the port; `None` where only routes say where its calls go.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// The figures of its routes that have a name for statistics.
    pub(super) counted: Counted,
}

impl Spot {
    /// What is spoken on the port.
    pub(crate) fn protocol(&self) -> Protocol {
        self.cluster.as_ref().map_or(Protocol::Auto, |cluster| cluster.protocol)
    }
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) flags: ResponseFlags,
    pub(crate) text: String,
}

impl Refusal {
    /// The request has a part that could mean several things.
    pub(crate) fn malformed(text: String) -> Refusal {
        Refusal { status: 400, flags: ResponseFlags::DPE, text }
    }
}

/// Finds where an authority leads by the address for all. The control plane is asked where the name is new.
pub(crate) async fn decide(worker: &Worker, authority: &[u8], default_port: u16) -> Decision {
    let decision = find(worker, authority, default_port).await;
    if worker.shared.mesh.current().own().scopes.is_empty() {
        return decision;
    }
    let own = worker.shared.mesh.current().own().clone();
    let (service, host, port) = match &decision {
        Decision::Service(spot) => (spot.service.clone(), spot.name.clone(), spot.port),
        Decision::Outside(Outside { host, port, .. }) => match worker.shared.mesh.find(host) {
            Some(service) => (service, host.clone(), *port),
            None => return decision,
        },
        Decision::EgressProxy(_) | Decision::Refuse(_) => return decision,
    };
    // A service that stands for many hosts is reached as far as the host that was asked for is.
    let meant: &str = if service.host.starts_with('*') { &host } else { &service.host };
    if own.reaches(&service.namespace, meant, port) {
        return decision;
    }
    // As if nobody knew it: there is no listener for it on this port.
    match (judge(&host, port, Lookup::Unknown, own.registry_only), &own.egress_proxy) {
        (Decision::Outside(..), Some(proxy)) => {
            let goal = goal::of_egress_proxy(worker, proxy, port).await;
            goal.map_or_else(Decision::Refuse, Decision::EgressProxy)
        }
        (decision, _) => decision,
    }
}

/// Finds where an authority leads, on whatever way.
pub(super) async fn find(worker: &Worker, authority: &[u8], default_port: u16) -> Decision {
    if let Some(spot) = worker.recall(authority) {
        return Decision::Service(spot);
    }
    let Some((host, port)) = split_authority(authority) else {
        return Decision::Refuse(refusal(
            400,
            ResponseFlags::DPE,
            "the request names no host".into(),
        ));
    };
    let port = port.unwrap_or(default_port);
    let generation = worker.shared.mesh.current().generation;
    let lookup = worker.shared.mesh.fetch(&host, ON_DEMAND).await;
    let own = worker.shared.mesh.current().own().clone();
    let is_unknown = matches!(lookup, Lookup::Unknown);
    let decision = judge(&host, port, lookup, own.registry_only);
    match (&decision, &own.egress_proxy) {
        (Decision::Service(spot), _) => worker.remember(generation, authority, spot),
        (Decision::Outside(..), Some(proxy)) if is_unknown => {
            let goal = goal::of_egress_proxy(worker, proxy, port).await;
            return goal.map_or_else(Decision::Refuse, Decision::EgressProxy);
        }
        _ => {}
    }
    decision
}

/// What follows from what is known of a name.
fn judge(host: &str, port: u16, lookup: Lookup, registry_only: bool) -> Decision {
    match lookup {
        Lookup::Found(service) => match lacks(&service, port) {
            // As with Istio the port is one that nobody has described.
            true if service.external && !is_mesh_name(host) => {
                judge(host, port, Lookup::Unknown, registry_only)
            }
            true => Decision::Refuse(refusal(503, ResponseFlags::NR, no_port(&service, port))),
            false => of_service(service, host, port),
        },
        Lookup::Unknown if is_mesh_name(host) => Decision::Refuse(refusal(
            503,
            ResponseFlags::NR,
            format!("there is no service {host} in the mesh"),
        )),
        // Istio's BlackHoleCluster.
        Lookup::Unknown if registry_only => Decision::Refuse(refusal(
            502,
            ResponseFlags::NR,
            format!(
                "{host} is no service of the mesh, and this workload's Sidecar is REGISTRY_ONLY"
            ),
        )),
        Lookup::Unknown => Decision::Outside(Outside { host: host.into(), port, cluster: None }),
        Lookup::Unreachable(reason) => Decision::Refuse(refusal(
            503,
            ResponseFlags::NR,
            format!("the control plane did not say what {host} is: {reason}"),
        )),
    }
}

fn of_service(service: Arc<Service>, host: &str, port: u16) -> Decision {
    let cluster = service.cluster(port).cloned();
    if service.table.is_none() && cluster.as_ref().is_some_and(|it| is_own_address(it)) {
        return Decision::Outside(Outside { host: host.into(), port, cluster });
    }
    let (name, counted) = (host.into(), Counted::default());
    Decision::Service(Rc::new(Spot { name, service, port, cluster, counted }))
}

/// Whether a service has no such port, and no rule that could say where its calls go. Rules for a host that has ports are for
/// these (Istio makes routes port by port).
fn lacks(service: &Service, port: u16) -> bool {
    let is_described = !service.clusters.is_empty();
    service.cluster(port).is_none() && (is_described || service.table.is_none())
}

/// Whether the address that the caller asked for is called, not an endpoint.
pub(crate) fn is_own_address(cluster: &Cluster) -> bool {
    cluster.resolution == Resolution::None || cluster.is_passthrough()
}

/// Says which ports there are.
pub(crate) fn no_port(service: &Service, port: u16) -> String {
    let ports: Vec<String> =
        service.clusters.iter().map(|cluster| cluster.port.to_string()).collect();
    let host = &service.host;
    match ports.is_empty() {
        true => format!(
            "{host} has rules, but no Service or ServiceEntry of its own that says which ports it has ({port} was meant)"
        ),
        false => {
            format!("service {host} has no port {port}; its ports are {}", ports.join(", "))
        }
    }
}

pub(crate) fn refusal(status: u16, flags: ResponseFlags, text: String) -> Refusal {
    Refusal { status, flags, text }
}

/// Whether a name can only be a service of the mesh.
fn is_mesh_name(host: &str) -> bool {
    host.strip_suffix(DEFAULT_DOMAIN_SUFFIX).is_some_and(|rest| rest.ends_with('.'))
        || (!host.contains(['.', ':']) && host != "localhost")
}

/// Host (lower case, without brackets and final dot) and port of an authority.
pub(crate) fn split_authority(authority: &[u8]) -> Option<(String, Option<u16>)> {
    let text = std::str::from_utf8(authority).ok()?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // Another dot makes a label without letters, which nobody has: what takes it off must not find a host that rules do not see.
    let is_name = !host.is_empty() && !host.ends_with('.');
    is_name.then(|| (host.to_ascii_lowercase(), port))
}

/// What is spoken towards an endpoint: as the port declares it, else as the caller speaks.
pub(crate) fn inner(protocol: Protocol, caller: Version) -> Inner {
    match protocol {
        Protocol::Http | Protocol::GrpcWeb => Inner::Http1,
        Protocol::Http2 | Protocol::Grpc => Inner::Http2,
        _ if caller == Version::Http2 => Inner::Http2,
        _ => Inner::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_split() {
        for (text, expected) in [
            ("hello", Some(("hello", None))),
            ("Hello:8001", Some(("hello", Some(8001)))),
            (
                "hello.default.svc.cluster.local.:80",
                Some(("hello.default.svc.cluster.local", Some(80))),
            ),
            // Only one dot says that a name is whole.
            ("hello.default.svc.cluster.local..:80", None),
            ("..", None),
            ("[::1]:80", Some(("::1", Some(80)))),
            ("[::1]", Some(("::1", None))),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:0", None),
            ("a:70000", None),
            ("a:+80", None),
            ("[::1", None),
            ("[::1]80", None),
        ] {
            let expected = expected.map(|(host, port): (&str, _)| (host.to_owned(), port));
            assert_eq!(split_authority(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_goes_outside_unless_it_is_the_meshs() {
        for (host, refused) in [
            ("hello", true),
            ("hello.default.svc.cluster.local", true),
            ("localhost", false),
            ("example.com", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("xsvc.cluster.local", false),
        ] {
            let decision = judge(host, 80, Lookup::Unknown, false);
            assert_eq!(matches!(decision, Decision::Refuse(_)), refused, "{host}");
            let decision = judge(host, 80, Lookup::Unknown, true);
            assert!(matches!(decision, Decision::Refuse(_)), "{host}");
        }
    }

    #[test]
    fn a_declared_protocol_goes_before_the_callers() {
        for (protocol, caller, expected) in [
            (Protocol::Http, Version::Http2, Inner::Http1),
            (Protocol::Grpc, Version::Http11, Inner::Http2),
            (Protocol::Auto, Version::Http2, Inner::Http2),
            (Protocol::Auto, Version::Http11, Inner::Http1),
        ] {
            assert_eq!(inner(protocol, caller), expected);
        }
    }
}
