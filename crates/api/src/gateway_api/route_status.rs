//! The status of routes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::ParentReference;
use crate::values::Condition;

/// What became of a route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RouteStatus {
    /// At each of those that it is attached to.
    pub parents: Vec<RouteParentStatus>,
}

/// What became of a route at one of those that it is attached to.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// Which one.
    pub parent_ref: ParentReference,
    /// Who tells this.
    pub controller_name: String,
    /// How it is.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
