//! `EnvoyFilter`: changes to the configuration of Envoy proxies, told to those alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::select::{LabelSelector, PolicyTargetReference};
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report, at_most_one};
use crate::values::form;

/// Changes to the configuration of Envoy proxies.
pub type EnvoyFilter = Object<EnvoyFilterSpec, Status>;

/// Changes to the configuration of Envoy proxies.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvoyFilterSpec {
    /// The workloads whose proxies are meant; all of the namespace where it is left out.
    pub workload_selector: Option<LabelSelector>,
    /// The gateways that are meant.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// The changes.
    pub config_patches: Vec<ConfigPatch>,
    /// In which order several of these are applied, low numbers first.
    pub priority: i32,
}

/// One change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigPatch {
    /// What is changed.
    pub apply_to: Option<ApplyTo>,
    /// Where it must be.
    pub r#match: Option<PatchMatch>,
    /// How it is changed.
    pub patch: Option<Patch>,
}

/// A part of Envoy's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Envoy's own words")]
pub enum ApplyTo {
    Invalid,
    Listener,
    FilterChain,
    NetworkFilter,
    HttpFilter,
    RouteConfiguration,
    VirtualHost,
    HttpRoute,
    Cluster,
    ExtensionConfig,
    Bootstrap,
    ListenerFilter,
}

/// Where a part of the configuration must be to be changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PatchMatch {
    /// In which direction; any where it is left out.
    pub context: Option<PatchContext>,
    /// In which proxies.
    pub proxy: Option<ProxyMatch>,
    /// In which listener.
    pub listener: Option<ListenerMatch>,
    /// In which routes.
    pub route_configuration: Option<RouteConfigurationMatch>,
    /// In which cluster.
    pub cluster: Option<ClusterMatch>,
    /// In which waypoint.
    pub waypoint: Option<WaypointMatch>,
}

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum PatchContext {
    Any,
    SidecarInbound,
    SidecarOutbound,
    Gateway,
    Waypoint,
}

/// Proxies by what they say of themselves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyMatch {
    /// Their version.
    #[schemars(with = "form::Regex")]
    pub proxy_version: String,
    /// Their metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerMatch {
    /// By its port.
    pub port_number: Option<u32>,
    /// By its port's name.
    pub port_name: String,
    /// A chain of filters in it.
    pub filter_chain: Option<FilterChainMatch>,
    /// A filter of the listener itself.
    pub listener_filter: String,
    /// By its name.
    pub name: String,
}

/// A chain of filters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterChainMatch {
    /// By its name.
    pub name: String,
    /// By the name that the client asks for.
    pub sni: String,
    /// `tls` or `raw_buffer`.
    pub transport_protocol: String,
    /// Parted by commas.
    pub application_protocols: String,
    /// A filter in it.
    pub filter: Option<FilterMatch>,
    /// By its port.
    pub destination_port: Option<u32>,
}

/// A filter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterMatch {
    /// Its name.
    pub name: String,
    /// A filter in it.
    pub sub_filter: Option<SubFilterMatch>,
}

/// A filter within another.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SubFilterMatch {
    /// Its name.
    pub name: String,
}

/// Routes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteConfigurationMatch {
    /// By the port.
    pub port_number: Option<u32>,
    /// By the port's name.
    pub port_name: String,
    /// By the gateway.
    pub gateway: String,
    /// A host in them.
    pub vhost: Option<VirtualHostMatch>,
    /// By their name.
    pub name: String,
}

/// A host in routes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct VirtualHostMatch {
    /// By its name, `HOST:PORT`.
    pub name: String,
    /// By a domain of it.
    pub domain_name: String,
    /// A route in it.
    pub route: Option<RouteMatch>,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RouteMatch {
    /// By its name.
    pub name: String,
    /// By what it does.
    pub action: Option<RouteAction>,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum RouteAction {
    Any,
    Route,
    Redirect,
    DirectResponse,
}

/// A cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterMatch {
    /// By its port.
    pub port_number: Option<u32>,
    /// By its service's host.
    pub service: String,
    /// By its subset.
    pub subset: String,
    /// By its name.
    pub name: String,
}

/// A waypoint.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct WaypointMatch {
    /// By its port.
    pub port_number: Option<u32>,
    /// A filter in it.
    pub filter: Option<FilterMatch>,
    /// A route in it.
    pub route: Option<WaypointRouteMatch>,
}

/// A route of a waypoint.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaypointRouteMatch {
    /// By its name.
    pub name: String,
}

/// How a part of the configuration is changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Patch {
    /// What is done.
    pub operation: Option<PatchOperation>,
    /// Envoy's configuration, in its own words.
    #[schemars(extend("type" = "object", "x-kubernetes-preserve-unknown-fields" = true))]
    pub value: Value,
    /// Where a new filter stands.
    pub filter_class: Option<FilterClass>,
}

/// What is done with a part of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum PatchOperation {
    Invalid,
    Merge,
    Add,
    Remove,
    InsertBefore,
    InsertAfter,
    InsertFirst,
    Replace,
}

/// Where a new filter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "Istio's own words")]
pub enum FilterClass {
    Unspecified,
    Authn,
    Authz,
    Stats,
}

impl Spec for EnvoyFilterSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let attachments = [
            ("workloadSelector", self.workload_selector.is_some()),
            ("targetRefs", !self.target_refs.is_empty()),
        ];
        at_most_one(&attachments, at, report);
        if let Some(selector) = &self.workload_selector {
            selector.check(&at.field("workloadSelector"), report);
        }
        for (index, patch) in self.config_patches.iter().enumerate() {
            let at = at.field("configPatches").item(index);
            if patch.apply_to.is_none_or(|it| it == ApplyTo::Invalid) {
                report.error(at.field("applyTo"), "missing; it says what is changed");
            }
            match &patch.patch {
                None => {
                    report.error(at.field("patch"), "missing; it says how it is changed");
                }
                Some(patch) => patch.check(&at.field("patch"), report),
            }
            if let Some(place) = &patch.r#match {
                let ways = [
                    ("listener", place.listener.is_some()),
                    ("routeConfiguration", place.route_configuration.is_some()),
                    ("cluster", place.cluster.is_some()),
                    ("waypoint", place.waypoint.is_some()),
                ];
                at_most_one(&ways, &at.field("match"), report);
            }
        }
    }
}

impl Patch {
    fn check(&self, at: &Path, report: &mut Report) {
        if self.operation != Some(PatchOperation::Remove) && !self.value.is_object() {
            report.error(at.field("value"), "missing; it is what is put there");
        }
    }
}
