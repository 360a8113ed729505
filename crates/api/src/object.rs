//! The frame of most kinds: metadata, a spec and a status.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};
use crate::resource::Checked;

/// An object with a spec `S` and a status `T`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    bound(deserialize = "S: Default + Deserialize<'de>, T: Deserialize<'de>")
)]
#[schemars(rename = "Object", bound = "S: Default + JsonSchema, T: JsonSchema")]
pub struct Object<S, T> {
    /// Group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: S,
    /// What became of it; told by the server.
    pub status: Option<T>,
}

/// The spec of a kind.
pub(crate) trait Spec {
    /// Checks what the shape alone does not say. The spec is `at` this place.
    fn check(&self, metadata: &ObjectMeta, at: &Path, report: &mut Report);
}

impl<S: Spec, T> Checked for Object<S, T> {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        self.spec.check(&self.metadata, &Path::of("spec"), report);
    }
}
