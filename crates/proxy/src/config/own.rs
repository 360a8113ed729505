//! Who we are, for rules that choose their callers and for choices by place.

use std::collections::BTreeMap;

use meltemi_names::{DEFAULT_CLUSTER, ROOT_NAMESPACE};
use meltemi_policy::{balance, destination, route};
use meltemi_wire::proto::meltemi::v1;

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
}

impl Own {
    /// A workload of which only the namespace is known yet.
    pub fn of(namespace: &str) -> Own {
        Own { namespace: namespace.to_owned(), ..Own::default() }
    }

    /// What the control plane says of it.
    pub(super) fn read(message: &v1::Workload) -> Own {
        Own {
            namespace: message.namespace.clone(),
            labels: message.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            locality: message.locality.clone(),
            network: message.network.clone(),
        }
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
