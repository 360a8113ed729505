//! The mesh's own settings, in the words of Istio's `MeshConfig`
//! (<https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/>). What is not acted on is refused, not passed over.

use meltemi_names::TrustDomain;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Finding;
use crate::parse;
use crate::refuse;
use crate::refuse::{Path, Report, exactly_one};

mod provider;

pub use provider::{ExtAuthzGrpc, ExtAuthzHttp, ExtensionProvider, RequestBody};

/// The mesh's own settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MeshConfig {
    /// Whom policies may name as their provider.
    #[schemars(length(max = 1000))]
    pub extension_providers: Vec<ExtensionProvider>,
    /// Further names of the mesh's own trust domain: workloads of it are members, and a policy that means one of the names
    /// means all.
    #[schemars(length(max = 100))]
    pub trust_domain_aliases: Vec<String>,
    /// Roots beside the CA's own: of other trust domains, or of ours.
    #[schemars(length(max = 100))]
    pub ca_certificates: Vec<CaCertificate>,
    /// What holds for proxies.
    pub default_config: DefaultConfig,
}

/// Roots, and the trust domains whose members' certificates lead to them (Istio's `CertificateData`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CaCertificate {
    /// The certificates, PEM.
    pub pem: String,
    /// Where they are fetched as a SPIFFE bundle (SPIFFE Trust Domain and Bundle, section 4), by HTTPS.
    pub spiffe_bundle_url: String,
    /// The trust domains; ours and its other names where there are none.
    pub trust_domains: Vec<String>,
}

/// What holds for proxies (Istio's `ProxyConfig` within the mesh's settings).
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct DefaultConfig {
    /// What stands before the mesh.
    pub gateway_topology: GatewayTopology,
}

/// What stands before the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayTopology {
    /// So many proxies add an entry to `x-forwarded-for` before a workload is called.
    pub num_trusted_proxies: u32,
}

impl MeshConfig {
    /// Reads YAML or JSON of one document. `file` is its name as it is told to people.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<MeshConfig, Vec<Finding>> {
        parse::closed(file, text, |value, report| {
            let config: MeshConfig = refuse::read_as(value, report)?;
            config.check(report);
            Some(config)
        })
    }

    fn check(&self, report: &mut Report) {
        check_domains(&self.trust_domain_aliases, &Path::of("trustDomainAliases"), report);
        for (index, certificate) in self.ca_certificates.iter().enumerate() {
            certificate.check(&Path::of("caCertificates").item(index), report);
        }
        let at = Path::of("extensionProviders");
        for (index, provider) in self.extension_providers.iter().enumerate() {
            let at = at.item(index);
            let before = self.extension_providers.iter().take(index);
            if before.into_iter().any(|it| it.name == provider.name) {
                let message = format!("`{}` stands there twice", provider.name);
                report.error(at.field("name"), message);
            }
            provider.check(&at, report);
        }
    }
}

impl CaCertificate {
    fn check(&self, at: &Path, report: &mut Report) {
        let kinds = [
            ("pem", !self.pem.is_empty()),
            ("spiffeBundleUrl", !self.spiffe_bundle_url.is_empty()),
        ];
        exactly_one(&kinds, at, report);
        if !self.spiffe_bundle_url.is_empty() && !self.spiffe_bundle_url.starts_with("https://") {
            let message = "must begin with `https://`: whoever could change what comes could sign for the trust domain";
            report.error(at.field("spiffeBundleUrl"), message);
        }
        check_domains(&self.trust_domains, &at.field("trustDomains"), report);
    }
}

fn check_domains(domains: &[String], at: &Path, report: &mut Report) {
    for (index, domain) in domains.iter().enumerate() {
        if let Err(error) = domain.parse::<TrustDomain>() {
            report.error(at.item(index), error.to_string());
        } else if domains.iter().take(index).any(|it| it == domain) {
            report.error(at.item(index), format!("`{domain}` stands there twice"));
        }
    }
}

#[cfg(test)]
mod tests;
