//! `PeerAuthentication`: whether callers must show a certificate of the mesh.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::MatchSelector;
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};

/// Whether callers must show a certificate of the mesh.
pub type PeerAuthentication = Object<PeerAuthenticationSpec, Status>;

/// Whether callers must show a certificate of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PeerAuthenticationSpec {
    /// The workloads that are called; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// What they ask of callers.
    pub mtls: Option<MutualTls>,
    /// What they ask on single ports, by the workloads' port numbers.
    pub port_level_mtls: BTreeMap<String, MutualTls>,
}

/// What is asked of callers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MutualTls {
    /// The mode; that of the namespace or the mesh where it is left out.
    pub mode: Option<MutualTlsMode>,
}

/// Whether mutual TLS is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MutualTlsMode {
    /// As the namespace or the mesh says.
    Unset,
    /// Plaintext alone.
    Disable,
    /// Either.
    Permissive,
    /// Mutual TLS alone.
    Strict,
}

impl Spec for PeerAuthenticationSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        if let Some(selector) = &self.selector {
            selector.check(&at.field("selector"), report);
        }
        let at_ports = at.field("portLevelMtls");
        for port in self.port_level_mtls.keys() {
            if !port.parse::<u16>().is_ok_and(|port| port > 0) {
                let message = format!("`{port}` is not a port (1 to 65535)");
                report.error(at_ports.field(port), message).on_key();
            }
        }
        let selects = self.selector.as_ref().is_some_and(|it| !it.match_labels.is_empty());
        if !self.port_level_mtls.is_empty() && !selects {
            let message = "needs a `selector`: ports differ from workload to workload";
            report.error(at_ports, message).on_key();
        }
    }
}
