//! Which pages of other origins may call (CORS, as the Fetch standard has it).

use serde::{Deserialize, Serialize};

use super::{StringMatch, is_default};

/// Which pages of others may call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CorsPolicy {
    /// Their origins, one of these; [`StringMatch::Exact`] of `*` is every origin.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_origins: Vec<StringMatch>,
    /// Methods that they may use.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_methods: Vec<String>,
    /// Headers that they may send.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_headers: Vec<String>,
    /// Headers that they may read.
    #[serde(skip_serializing_if = "is_default")]
    pub expose_headers: Vec<String>,
    /// How many seconds they may remember this; not said to them where it is left out.
    #[serde(skip_serializing_if = "is_default")]
    pub max_age_s: Option<u64>,
    /// Whether they may send cookies.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_credentials: bool,
    /// What becomes of preflight requests of other origins.
    #[serde(skip_serializing_if = "is_default")]
    pub unmatched_preflights: UnmatchedPreflights,
}

/// What becomes of preflight requests of other origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnmatchedPreflights {
    /// They go on to the workload.
    #[default]
    Forward,
    /// They are answered here, without leave.
    Ignore,
}
