//! The status of Istio's kinds.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::{Condition, Generation};

/// What became of an object; other fields may be there too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Status {
    /// How it is.
    pub conditions: Vec<Condition>,
    /// What analysis found.
    pub validation_messages: Vec<ValidationMessage>,
    /// The generation that this speaks of.
    pub observed_generation: Option<Generation>,
}

/// Something that analysis found.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ValidationMessage {
    /// What sort of finding it is.
    pub r#type: Option<MessageType>,
    /// How bad it is.
    pub level: Option<MessageLevel>,
    /// Where more is said about it.
    pub documentation_url: String,
}

/// A sort of finding.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MessageType {
    /// Its name.
    pub name: String,
    /// Its code, `IST` and four digits.
    pub code: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageLevel {
    /// Not told.
    Unknown,
    /// It does not work.
    Error,
    /// It may not work.
    Warning,
    /// Good to know.
    Info,
}
