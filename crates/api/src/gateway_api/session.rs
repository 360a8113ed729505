//! How a client stays with a backend.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::form;

/// How a client stays with a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionPersistence {
    /// The name of the cookie or header.
    pub session_name: Option<String>,
    /// How long at most.
    #[schemars(with = "Option<form::GatewayDuration>")]
    pub absolute_timeout: Option<String>,
    /// How long after the last request.
    #[schemars(with = "Option<form::GatewayDuration>")]
    pub idle_timeout: Option<String>,
    /// By a cookie or a header; a cookie where it is left out.
    pub r#type: Option<SessionPersistenceType>,
    /// About the cookie.
    pub cookie_config: Option<CookieConfig>,
}

/// By what a client is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SessionPersistenceType {
    /// By a cookie.
    Cookie,
    /// By a header.
    Header,
}

/// About a cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CookieConfig {
    /// How long it lives; as long as the browser runs where it is left out.
    pub lifetime_type: Option<CookieLifetime>,
}

/// How long a cookie lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum CookieLifetime {
    /// As long as `absoluteTimeout` says.
    Permanent,
    /// As long as the browser runs.
    Session,
}
