//! What a rule does to requests: rewrites, redirects, answers, changes of headers.

use serde::{Deserialize, Serialize};

use super::is_default;

/// What is changed in requests that are forwarded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rewrite {
    /// The path; the query stays.
    #[serde(skip_serializing_if = "is_default")]
    pub uri: Option<PathRewrite>,
    /// The host.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: Option<String>,
}

/// How a path is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathRewrite {
    /// In place of the part that the match's prefix took, or of all of it where the match was not one by prefix
    /// (Istio's `rewrite.uri`). A match without `uri` counts as prefix `/`.
    Prefix(String),
    /// In place of all of it.
    Full(String),
    /// In place of each part that the pattern matches; `\1` in `rewrite` is the first group, `\0` the part.
    Regex {
        /// The parts, as a regular expression.
        pattern: String,
        /// What stands there instead.
        rewrite: String,
    },
}

/// Requests are sent elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Redirect {
    /// The path there. The query stays, unless [`PathRewrite::Full`] has one of its own.
    #[serde(skip_serializing_if = "is_default")]
    pub uri: Option<PathRewrite>,
    /// The host there.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: Option<String>,
    /// The port there.
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<RedirectPort>,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "is_default")]
    pub scheme: Option<String>,
    /// The status.
    pub code: u16,
}

impl Default for Redirect {
    /// To where it came from, with status 301.
    fn default() -> Self {
        Redirect { uri: None, authority: None, port: None, scheme: None, code: 301 }
    }
}

/// The port to which requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedirectPort {
    /// This one.
    Number(u16),
    /// 80 or 443, after the scheme there.
    FromProtocolDefault,
    /// The one that was asked.
    FromRequestPort,
}

/// Requests are answered at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectResponse {
    /// The status.
    pub status: u16,
    /// The body.
    #[serde(skip_serializing_if = "is_default")]
    pub body: Option<Body>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// As a text.
    String(String),
    /// As bytes that are not one.
    Bytes(Vec<u8>),
}

impl Body {
    /// The bytes, a text if they are one.
    pub fn of(bytes: Vec<u8>) -> Body {
        String::from_utf8(bytes).map_or_else(|error| Body::Bytes(error.into_bytes()), Body::String)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Body::String(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        }
    }
}

/// Headers that are changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Headers {
    /// On the way there.
    #[serde(skip_serializing_if = "is_default")]
    pub request: HeaderOperations,
    /// On the way back.
    #[serde(skip_serializing_if = "is_default")]
    pub response: HeaderOperations,
}

/// How headers are changed: first taken away, then put in place, then put beside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderOperations {
    /// Put in place of what is there. `host` and `:authority` of a request stand for a rewrite of the authority.
    #[serde(skip_serializing_if = "is_default")]
    pub set: Vec<Header>,
    /// Put beside what is there.
    #[serde(skip_serializing_if = "is_default")]
    pub add: Vec<Header>,
    /// Taken away.
    #[serde(skip_serializing_if = "is_default")]
    pub remove: Vec<String>,
}

/// A header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}
