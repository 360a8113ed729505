//! How the Gateway API's kinds name other objects.

use schemars::JsonSchema;
use serde::Deserialize;

use super::GROUP;
use crate::refuse::{Path, Report};
use crate::values::{Port, form};

/// The kind that is meant where a backend says none.
pub(crate) const SERVICE: &str = "Service";
/// The kind that is meant where a parent says none.
pub(crate) const GATEWAY: &str = "Gateway";

/// What a route is attached to: a gateway, or a service for calls within the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Its group; `gateway.networking.k8s.io` where it is left out.
    pub group: Option<String>,
    /// Its kind; `Gateway` where it is left out.
    pub kind: Option<String>,
    /// Its namespace; that of the route where it is left out.
    #[schemars(with = "Option<form::DnsLabel>")]
    pub namespace: Option<String>,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// The listener, or the port's name of a service; all where it is left out.
    pub section_name: Option<String>,
    /// The port; all where it is left out.
    pub port: Option<Port>,
}

/// A service, or another backend.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct BackendObjectReference {
    /// Its group; empty, the core group, where it is left out.
    pub group: Option<String>,
    /// Its kind; `Service` where it is left out.
    pub kind: Option<String>,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its namespace; that of the route where it is left out.
    #[schemars(with = "Option<form::DnsLabel>")]
    pub namespace: Option<String>,
    /// The port; a service needs it.
    pub port: Option<Port>,
}

/// A backend with its share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct BackendRef {
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendObjectReference,
    /// Its share in relation to others; 1 where it is left out, 0 for nothing.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<i32>,
}

/// A secret, or another holder of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct SecretObjectReference {
    /// Its group; empty, the core group, where it is left out.
    pub group: Option<String>,
    /// Its kind; `Secret` where it is left out.
    pub kind: Option<String>,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its namespace; that of the gateway where it is left out.
    #[schemars(with = "Option<form::DnsLabel>")]
    pub namespace: Option<String>,
}

/// An object of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ObjectReference {
    /// Its group; empty for the core group.
    pub group: String,
    /// Its kind.
    #[schemars(with = "form::Filled")]
    pub kind: String,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its namespace.
    #[schemars(with = "Option<form::DnsLabel>")]
    pub namespace: Option<String>,
}

/// An object of any kind in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct LocalObjectReference {
    /// Its group; empty for the core group.
    pub group: String,
    /// Its kind.
    #[schemars(with = "form::Filled")]
    pub kind: String,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
}

impl BackendObjectReference {
    /// Whether it is a core service.
    pub fn is_service(&self) -> bool {
        self.group.as_deref().unwrap_or_default().is_empty()
            && self.kind.as_deref().unwrap_or(SERVICE) == SERVICE
    }

    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        if self.is_service() && self.port.is_none() {
            report.error(at.field("port"), "missing; a backend that is a service needs it");
        }
    }
}

impl ParentReference {
    /// Whether it is a gateway of the Gateway API.
    pub fn is_gateway(&self) -> bool {
        self.group.as_deref().unwrap_or(GROUP) == GROUP
            && self.kind.as_deref().unwrap_or(GATEWAY) == GATEWAY
    }
}

/// Checks what a route is attached to.
pub(super) fn check_parents(parents: &[ParentReference], at: &Path, report: &mut Report) {
    let at = at.field("parentRefs");
    for (index, parent) in parents.iter().enumerate() {
        if let Some(first) = parents[..index].iter().position(|it| it == parent) {
            report.error(at.item(index), format!("is the same as [{first}]"));
        }
    }
}

/// Checks shares: something must be shared out.
pub(super) fn check_weights(
    weights: impl Iterator<Item = Option<i32>>,
    at: &Path,
    report: &mut Report,
) {
    let weights: Vec<_> = weights.map(|weight| weight.unwrap_or(1)).collect();
    if !weights.is_empty() && weights.iter().all(|weight| *weight == 0) {
        report.warn(at.clone(), "every `weight` is 0, so that nobody is called");
    }
}
