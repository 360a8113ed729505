//! `WasmPlugin`: filters that Envoy proxies load as WebAssembly, told to those alone.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::select::{MatchSelector, PolicyTargetReference, check_attachment};
use super::status::Status;
use super::telemetry::WorkloadMode;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::{Port, form};

/// A filter that Envoy proxies load.
pub type WasmPlugin = Object<WasmPluginSpec, Status>;

/// A filter that Envoy proxies load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WasmPluginSpec {
    /// The workloads; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// Old form of `targetRefs`.
    pub target_ref: Option<PolicyTargetReference>,
    /// The gateways or services that it is attached to.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Where the module is: `oci://`, `http://`, `https://`, `file://`; an image where there is none of these.
    #[schemars(with = "form::Filled")]
    pub url: String,
    /// The module's SHA-256.
    #[serde(default)]
    pub sha256: String,
    /// When it is fetched anew.
    pub image_pull_policy: Option<PullPolicy>,
    /// The Secret with which an image is fetched.
    #[serde(default)]
    pub image_pull_secret: String,
    /// With which a module's signature is checked.
    #[serde(default)]
    pub verification_key: String,
    /// What the plugin is told.
    #[serde(default)]
    #[schemars(extend("type" = "object", "x-kubernetes-preserve-unknown-fields" = true))]
    pub plugin_config: Value,
    /// By which one module's plugins are told apart.
    #[serde(default)]
    pub plugin_name: String,
    /// Where among Istio's filters it stands.
    pub phase: Option<PluginPhase>,
    /// In which order plugins of a phase stand, high numbers first.
    #[serde(default)]
    pub priority: i32,
    /// What becomes of requests when it fails.
    pub fail_strategy: Option<FailStrategy>,
    /// What it is run in.
    pub vm_config: Option<VmConfig>,
    /// Which traffic it sees; all where it is left out.
    #[serde(default)]
    pub r#match: Vec<TrafficSelector>,
    /// What kind of filter it is.
    pub r#type: Option<PluginType>,
}

/// When a module is fetched anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum PullPolicy {
    #[serde(rename = "UNSPECIFIED_POLICY")]
    Unspecified,
    IfNotPresent,
    Always,
}

/// Where among Istio's filters a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum PluginPhase {
    UnspecifiedPhase,
    Authn,
    Authz,
    Stats,
}

/// What becomes of requests when a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum FailStrategy {
    FailClose,
    FailOpen,
    FailReload,
}

/// What kind of filter a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum PluginType {
    UnspecifiedPluginType,
    Http,
    Network,
}

/// What a plugin is run in.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct VmConfig {
    /// Its environment.
    #[schemars(length(max = 256))]
    pub env: Vec<VmVariable>,
}

/// A variable of a plugin's environment.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmVariable {
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Where its value comes from.
    pub value_from: Option<ValueFrom>,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum ValueFrom {
    Inline,
    Host,
}

/// Traffic that a plugin sees.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrafficSelector {
    /// In which direction.
    pub mode: Option<WorkloadMode>,
    /// To which ports.
    pub ports: Vec<SelectedPort>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct SelectedPort {
    /// Its number.
    pub number: Port,
}

impl Spec for WasmPluginSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let (one, many) = (self.target_ref.as_ref(), &self.target_refs);
        check_attachment(self.selector.as_ref(), one, many, at, report);
    }
}
