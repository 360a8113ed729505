//! The mesh's own settings, in the words of Istio's `MeshConfig`
//! (<https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/>). What is not acted on is refused, not passed over.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Finding;
use crate::parse;
use crate::refuse;
use crate::refuse::{Path, Report};

mod provider;

pub use provider::{ExtAuthzGrpc, ExtAuthzHttp, ExtensionProvider, RequestBody};

/// The mesh's own settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MeshConfig {
    /// Whom policies may name as their provider.
    #[schemars(length(max = 1000))]
    pub extension_providers: Vec<ExtensionProvider>,
    /// What holds for proxies.
    pub default_config: DefaultConfig,
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

#[cfg(test)]
mod tests;
