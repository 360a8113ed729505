//! `Secret`: keys and certificates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::{ObjectMeta, check_data_keys};
use crate::refuse::{Path, Report};
use crate::resource::Checked;

/// The type of secrets that hold a certificate and its key.
const TLS: &str = "kubernetes.io/tls";

/// Bytes by name that few may read.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// `v1`.
    pub api_version: String,
    /// `Secret`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What the names in it mean, as in `kubernetes.io/tls`; `Opaque` where it is left out.
    #[serde(default)]
    pub r#type: String,
    /// Bytes in base64 by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, crate::values::form::Base64>")]
    pub data: BTreeMap<String, String>,
    /// Plain texts by name, which become `data`.
    #[serde(default)]
    pub string_data: BTreeMap<String, String>,
    /// Whether nothing but the metadata may change.
    #[serde(default)]
    pub immutable: bool,
}

impl Checked for Secret {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        check_data_keys(self.data.keys(), &Path::of("data"), report);
        check_data_keys(self.string_data.keys(), &Path::of("stringData"), report);
        if self.r#type != TLS {
            return;
        }
        for name in ["tls.crt", "tls.key"] {
            if !self.data.contains_key(name) && !self.string_data.contains_key(name) {
                let message = format!("missing; a secret of type {TLS} has it");
                report.error(Path::of("data").field(name), message);
            }
        }
    }
}
