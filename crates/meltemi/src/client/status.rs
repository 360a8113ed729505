//! The `Status` object by which the API tells why it refused.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// A refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// Kubernetes' word for the reason.
    pub reason: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Status {
    /// Reads a `Status` from an answer's body.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        Self::of(&value)
    }

    /// Reads a `Status` from an object, if it is one.
    pub(super) fn of(value: &Value) -> Option<Self> {
        (value["kind"] == "Status").then(|| Self::deserialize(value).ok()).flatten()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "the control plane refused ({}): {}", self.reason, self.message)
    }
}
