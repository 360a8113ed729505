//! `ServiceAccount`: who a workload is.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::refuse::Report;
use crate::resource::Checked;

/// The identity of workloads.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// `v1`.
    pub api_version: String,
    /// `ServiceAccount`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Secrets that its workloads may use.
    #[serde(default)]
    pub secrets: Vec<ObjectReference>,
    /// Secrets by which its workloads' images are fetched.
    #[serde(default)]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Whether a token is put into its workloads.
    pub automount_service_account_token: Option<bool>,
}

/// Names an object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectReference {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// A part of the object.
    pub field_path: String,
    /// The version meant.
    pub resource_version: String,
    /// The one of this name that is meant.
    pub uid: String,
}

/// Names an object of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalObjectReference {
    /// Its name.
    pub name: String,
}

impl Checked for ServiceAccount {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, _: &mut Report) {}
}
