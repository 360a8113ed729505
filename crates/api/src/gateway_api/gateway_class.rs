//! `GatewayClass`: who runs gateways of a class.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::ObjectReference;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::Condition;

/// Who runs gateways of a class.
pub type GatewayClass = Object<GatewayClassSpec, GatewayClassStatus>;

/// Who runs gateways of a class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// The controller, as in `example.com/gateway-controller`.
    pub controller_name: String,
    /// An object with its settings.
    pub parameters_ref: Option<ObjectReference>,
    /// What the class is for.
    #[schemars(length(max = 64))]
    pub description: Option<String>,
}

/// What became of a class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayClassStatus {
    /// How it is.
    pub conditions: Vec<Condition>,
    /// What its controller can do.
    pub supported_features: Vec<SupportedFeature>,
}

/// Something that a controller can do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SupportedFeature {
    /// Its name.
    pub name: String,
}

impl Spec for GatewayClassSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let fits = self.controller_name.split_once('/').is_some_and(|(domain, path)| {
            meltemi_names::is_dns_subdomain(domain) && !path.is_empty()
        });
        if !fits {
            let message =
                format!("`{}` is not a controller: write `DOMAIN/PATH`", self.controller_name);
            report.error(at.field("controllerName"), message);
        }
    }
}
