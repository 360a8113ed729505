//! `ProxyConfig`: settings of the proxies themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::MatchSelector;
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};

/// Settings of the proxies themselves.
pub type ProxyConfig = Object<ProxyConfigSpec, Status>;

/// Settings of the proxies themselves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyConfigSpec {
    /// The workloads whose proxies are meant; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// How many threads they have; one a core where it is 0.
    #[schemars(range(min = 0))]
    pub concurrency: Option<i32>,
    /// Variables of their environment.
    pub environment_variables: BTreeMap<String, String>,
    /// Which build of the proxy runs.
    pub image: Option<ProxyImage>,
}

/// A build of the proxy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyImage {
    /// `default`, `debug` or `distroless`.
    pub image_type: String,
}

impl Spec for ProxyConfigSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        if let Some(selector) = &self.selector {
            selector.check(&at.field("selector"), report);
        }
        for name in self.environment_variables.keys() {
            if name.is_empty() || name.contains('=') {
                let message = format!("`{name}` is not the name of a variable");
                report.error(at.field("environmentVariables").field(name), message).on_key();
            }
        }
    }
}
