//! `TCPRoute`: where connections go.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{BackendRef, ParentReference, check_parents, check_weights};
use super::route_status::RouteStatus;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};

/// Where connections go.
pub type TcpRoute = Object<TcpRouteSpec, RouteStatus>;

/// Where connections go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteSpec {
    /// What it is attached to.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Whether it is attached to the default gateways.
    pub use_default_gateways: Option<DefaultGateways>,
    /// The rules.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<StreamRule>,
}

/// Which default gateways a route is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DefaultGateways {
    /// All.
    All,
    /// None.
    None,
}

/// A rule for connections.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamRule {
    /// Its name.
    pub name: Option<String>,
    /// Who is called.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

impl Spec for TcpRouteSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        check_parents(&self.parent_refs, at, report);
        check_stream_rules(&self.rules, at, report);
    }
}

/// Checks rules for connections.
pub(super) fn check_stream_rules(rules: &[StreamRule], at: &Path, report: &mut Report) {
    for (index, rule) in rules.iter().enumerate() {
        let at = at.field("rules").item(index).field("backendRefs");
        if rule.backend_refs.is_empty() {
            report.error(at.clone(), "missing; it says who is called");
        }
        for (index, backend) in rule.backend_refs.iter().enumerate() {
            backend.backend.check(&at.item(index), report);
        }
        check_weights(rule.backend_refs.iter().map(|it| it.weight), &at, report);
    }
}
