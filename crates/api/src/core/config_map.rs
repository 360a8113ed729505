//! `ConfigMap`: plain settings, here also trust bundles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::{ObjectMeta, check_data_keys};
use crate::refuse::{Path, Report};
use crate::resource::Checked;

/// Settings by name.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// `v1`.
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Texts by name.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Bytes in base64 by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, crate::values::form::Base64>")]
    pub binary_data: BTreeMap<String, String>,
    /// Whether nothing but the metadata may change.
    #[serde(default)]
    pub immutable: bool,
}

impl Checked for ConfigMap {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check_data_keys(self.data.keys(), &Path::of("data"), report);
        check_data_keys(self.binary_data.keys(), &Path::of("binaryData"), report);
        for name in self.binary_data.keys().filter(|name| self.data.contains_key(*name)) {
            let message = format!("`{name}` is in `data` too; it can be in one of them");
            report.error(Path::of("binaryData").field(name), message).on_key();
        }
    }
}
