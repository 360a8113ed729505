//! Who we are, for rules that choose their callers and for choices by place.

use std::collections::BTreeMap;

use meltemi_names::{DEFAULT_CLUSTER, ROOT_NAMESPACE};
use meltemi_policy::route::rule::Destination;
use meltemi_policy::{balance, destination, route};
use meltemi_wire::proto::meltemi::v1;

use super::egress::{self, Bind, EgressListener};

use super::Credential;

/// Our own workload, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Own {
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `region/zone/subzone`, empty where unknown.
    pub locality: String,
    /// Its network, empty for the mesh's own.
    pub network: String,
    /// Whether calls to hosts that nobody knows are refused (Istio's REGISTRY_ONLY).
    pub registry_only: bool,
    /// The service that they go to instead of their own destination (Istio's `egressProxy`).
    pub egress_proxy: Option<Destination>,
    /// The secrets that rules for it name.
    pub credentials: BTreeMap<String, Credential>,
    /// The hosts that it may call, `NAMESPACE/HOST` with `*` for all of either; all if there is none.
    pub egress: Vec<String>,
    /// The hosts that calls by the address for all reach, by port, 0 for ports without an entry; all where there are none.
    pub scopes: BTreeMap<u16, Vec<String>>,
    /// Listeners of their own for what goes out.
    pub listeners: Vec<EgressListener>,
}

impl Own {
    /// A workload of which only the namespace is known yet.
    pub fn of(namespace: &str) -> Own {
        Own { namespace: namespace.to_owned(), ..Own::default() }
    }

    /// What the control plane says of it.
    pub(super) fn read(message: &v1::Workload) -> Own {
        let sidecar = message.sidecar.as_ref();
        Own {
            registry_only: sidecar
                .is_some_and(|it| it.outbound_mode == i32::from(v1::OutboundMode::RegistryOnly)),
            egress_proxy: sidecar.and_then(|it| it.egress_proxy.as_ref()).map(egress_proxy),
            egress: sidecar.map(|it| it.egress.clone()).unwrap_or_default(),
            scopes: sidecar.map(scopes).unwrap_or_default(),
            listeners: sidecar
                .map(|it| it.listeners.iter().filter_map(EgressListener::read).collect())
                .unwrap_or_default(),
            namespace: message.namespace.clone(),
            credentials: message.credentials.iter().map(|(k, it)| (k.clone(), it.into())).collect(),
            labels: message.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            locality: message.locality.clone(),
            network: message.network.clone(),
        }
    }

    /// Whether its Sidecar resource lets a virtual service of this namespace and these hosts count.
    pub(super) fn imports(&self, namespace: &str, hosts: &[String]) -> bool {
        self.egress.is_empty()
            || egress::named(&self.egress, namespace, hosts.iter().map(String::as_str))
    }

    /// Whether calls by the address for all reach a host of a namespace on this port.
    pub(crate) fn reaches(&self, namespace: &str, host: &str, port: u16) -> bool {
        let hosts = self.scopes.get(&port).or_else(|| self.scopes.get(&0));
        self.scopes.is_empty() || hosts.is_some_and(|hosts| egress::named(hosts, namespace, [host]))
    }

    /// The listener that is there.
    pub(crate) fn listener(&self, bind: &Bind) -> Option<&EgressListener> {
        self.listeners.iter().find(|it| *it.bind == *bind)
    }

    /// As routes see it.
    pub(super) fn route_caller(&self) -> route::Caller<'_> {
        route::Caller {
            namespace: &self.namespace,
            labels: &self.labels,
            gateway: route::rule::MESH,
        }
    }

    /// As destination rules see it.
    pub(super) fn caller(&self) -> destination::Caller<'_> {
        destination::Caller {
            namespace: &self.namespace,
            labels: &self.labels,
            root_namespace: ROOT_NAMESPACE,
        }
    }

    /// As balancers see it.
    pub(super) fn client(&self) -> balance::Client<'_> {
        balance::Client {
            locality: &self.locality,
            network: &self.network,
            cluster: DEFAULT_CLUSTER,
            labels: &self.labels,
        }
    }
}

/// A port that is none is left out: it can be nobody's.
fn scopes(message: &v1::Sidecar) -> BTreeMap<u16, Vec<String>> {
    let scopes = message.scopes.iter();
    scopes.filter_map(|it| Some((u16::try_from(it.port).ok()?, it.hosts.clone()))).collect()
}

fn egress_proxy(message: &v1::EgressProxy) -> Destination {
    Destination {
        host: message.host.clone(),
        subset: Some(message.subset.clone()).filter(|subset| !subset.is_empty()),
        port: u16::try_from(message.port).ok().filter(|port| *port > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_resource_imports_what_it_names() {
        let own = |egress: &[&str]| Own {
            egress: egress.iter().map(|it| (*it).to_owned()).collect(),
            ..Own::of("default")
        };
        for (egress, namespace, host, expected) in [
            (&[][..], "a", "web.a.svc.cluster.local", true),
            (&["*/*"], "a", "web.a.svc.cluster.local", true),
            (&["a/*"], "a", "web.a.svc.cluster.local", true),
            (&["b/*"], "a", "web.a.svc.cluster.local", false),
            (&["*/web.a.svc.cluster.local"], "a", "web.a.svc.cluster.local", true),
            (&["*/*.a.svc.cluster.local"], "a", "web.a.svc.cluster.local", true),
            (&["*/*.b.svc.cluster.local"], "a", "web.a.svc.cluster.local", false),
            (&["*/api.example.com"], "a", "*.example.com", true),
            (&["b/*", "a/web.a.svc.cluster.local"], "a", "web.a.svc.cluster.local", true),
        ] {
            let imported = own(egress).imports(namespace, &[host.to_owned()]);
            assert_eq!(imported, expected, "{egress:?} {namespace} {host}");
        }
    }
}
