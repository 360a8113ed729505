//! What holds for the whole mesh.

use std::sync::Arc;

use meltemi_names::{ROOT_NAMESPACE, TrustDomain};
use meltemi_policy::authz::provider::Provider;
use meltemi_policy::path::Normalization;

use crate::export::ExportTo;

/// What holds for the whole mesh.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The trust domain of workloads' identities.
    pub trust_domain: TrustDomain,
    /// Further names of it, which policies mean too (Istio: `trustDomainAliases`).
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// The DNS suffix of core services, `svc.cluster.local`.
    pub suffix: String,
    /// Istio's root namespace: what stands there is for the whole mesh.
    pub root_namespace: String,
    /// Who sees resources that do not say it.
    pub export_to: DefaultExportTo,
    /// How paths of requests are brought into one form (Istio: `pathNormalization.normalization`).
    pub path_normalization: Normalization,
    /// The authorizers that policies may name (Istio: `extensionProviders`).
    pub extension_providers: Vec<Arc<Provider>>,
    /// So many proxies add an entry to `x-forwarded-for` before a workload is called (Istio: `numTrustedProxies`).
    pub num_trusted_proxies: u32,
}

/// Who sees resources that do not say it, as in `exportTo`; everybody where a list is empty.
#[derive(Debug, Clone, Default)]
pub struct DefaultExportTo {
    /// Services and service entries (Istio: `defaultServiceExportTo`).
    pub services: Vec<String>,
    /// Virtual services (Istio: `defaultVirtualServiceExportTo`).
    pub virtual_services: Vec<String>,
    /// Destination rules (Istio: `defaultDestinationRuleExportTo`).
    pub destination_rules: Vec<String>,
}

impl Settings {
    /// Istio's defaults for a mesh of this trust domain and DNS suffix.
    pub fn new(trust_domain: TrustDomain, suffix: &str) -> Self {
        Settings {
            trust_domain,
            trust_domain_aliases: Vec::new(),
            suffix: suffix.into(),
            root_namespace: ROOT_NAMESPACE.into(),
            export_to: DefaultExportTo::default(),
            path_normalization: Normalization::default(),
            extension_providers: Vec::new(),
            num_trusted_proxies: 0,
        }
    }
}

impl DefaultExportTo {
    pub(crate) fn services(&self, said: &[String], own: &str) -> ExportTo {
        effective(said, &self.services, own)
    }
}

fn effective(said: &[String], default: &[String], own: &str) -> ExportTo {
    let entries = if said.is_empty() { default } else { said };
    ExportTo::new(entries.iter().map(String::as_str), own)
}
