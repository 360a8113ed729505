//! One workload as an endpoint of one service.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::{SpiffeId, TrustDomain};

use crate::peers::Peers;
use crate::record::{PortRecord, WorkloadRecord};

/// Where and how a service's workload is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The workload's name, unique among the service's endpoints.
    pub workload: Arc<str>,
    /// The workload's namespace.
    pub namespace: Arc<str>,
    /// IP address, or a host name for services with DNS resolution.
    pub address: String,
    /// For each port of the service the port of the workload.
    pub ports: Vec<(u16, u16)>,
    /// The inbound port of its sidecar, if mutual TLS is spoken with it.
    pub mutual_tls: Option<u16>,
    /// Those of the workload's ports on which its sidecar takes no mutual TLS (`PeerAuthentication`'s `DISABLE`).
    pub plaintext: Vec<u16>,
    /// Who has to answer; `None` without an identity of the mesh.
    pub identity: Option<SpiffeId>,
    /// The workload's labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `region/zone/subzone`.
    pub locality: String,
    /// Relative share of the load; 0 stands for 1.
    pub weight: u32,
    /// The network that the address belongs to.
    pub network: String,
}

impl Endpoint {
    pub(crate) fn new(
        name: &Arc<str>,
        namespace: &Arc<str>,
        workload: &WorkloadRecord,
        ports: &[PortRecord],
        trust_domain: &TrustDomain,
        peers: &Peers,
    ) -> Self {
        let identity = workload.service_account.as_deref().and_then(|account| {
            // Checked when the record was read.
            SpiffeId::new(trust_domain.clone(), namespace, account).ok()
        });
        let ports: Vec<(u16, u16)> =
            ports.iter().map(|port| (port.number, port.on(workload))).collect();
        let has_sidecar = workload.mutual_tls && identity.is_some();
        let plaintext = match has_sidecar {
            true => {
                let modes = peers.modes(namespace, &workload.labels);
                let targets = ports.iter().map(|(_, target)| *target);
                targets.filter(|port| !modes.on(*port).takes_mutual_tls()).collect()
            }
            false => Vec::new(),
        };
        Endpoint {
            workload: name.clone(),
            namespace: namespace.clone(),
            address: workload.address.clone(),
            ports,
            mutual_tls: has_sidecar.then_some(workload.inbound_port),
            plaintext,
            identity,
            labels: workload.labels.clone(),
            locality: workload.locality.clone(),
            weight: workload.weight,
            network: workload.network.clone(),
        }
    }

    /// The service that metrics know the workload by: Istio's label
    /// `service.istio.io/canonical-name`, else the labels `app.kubernetes.io/name` and `app`, else its name.
    pub fn canonical_service(&self) -> &str {
        let keys = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
        self.label(&keys).unwrap_or(&self.workload)
    }

    /// The version that metrics know the workload by: Istio's label `service.istio.io/canonical-revision`, else the
    /// labels `app.kubernetes.io/version` and `version`, else `latest`.
    pub fn canonical_revision(&self) -> &str {
        let keys = ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];
        self.label(&keys).unwrap_or("latest")
    }

    /// The name that metrics know the workload's group by (Kubernetes' deployment): the label
    /// `service.istio.io/workload-name`, else `APP-VERSION` where it has both labels, else `APP`, else its own name.
    pub fn workload_name(&self) -> String {
        if let Some(name) = self.label(&["service.istio.io/workload-name"]) {
            return name.into();
        }
        match (self.label(&["app"]), self.label(&["version"])) {
            (Some(app), Some(version)) => format!("{app}-{version}"),
            (Some(app), None) => app.into(),
            (None, _) => self.workload.to_string(),
        }
    }

    fn label(&self, keys: &[&str]) -> Option<&str> {
        let found = keys.iter().filter_map(|key| self.labels.get(*key));
        found.map(String::as_str).find(|value| !value.is_empty())
    }
}
