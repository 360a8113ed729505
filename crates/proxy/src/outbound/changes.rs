//! What rules change in an answer.

use std::sync::Arc;

use meltemi_policy::route::HeaderEdit;

use super::edit;
use crate::http::head::Fields;

/// A page's origin, and the headers by which CORS lets its browser know what it may. They are for whatever answer the
/// request gets, from the endpoint or from this proxy (Envoy's CORS filter).
#[derive(Debug)]
pub(crate) struct Cors {
    pub(crate) origin: Vec<u8>,
    pub(crate) headers: Arc<[(&'static str, Box<str>)]>,
}

impl Cors {
    /// Lets pages of the origin read an answer.
    pub(crate) fn apply(&self, fields: &mut Fields) {
        allow(fields, &self.origin, &self.headers);
    }
}

/// The changes of an answer that an endpoint gives.
#[derive(Debug, Default)]
pub(crate) struct Changes<'t> {
    pub(crate) edits: &'t [HeaderEdit],
}

impl Changes<'_> {
    /// Makes them; the rule's own headers go before those of CORS.
    pub(crate) fn apply(&self, fields: &mut Fields, cors: Option<&Cors>) {
        if let Some(cors) = cors {
            cors.apply(fields);
        }
        edit::apply(fields, self.edits);
    }
}

/// Lets pages of an origin read an answer.
pub(crate) fn allow(fields: &mut Fields, origin: &[u8], headers: &[(&'static str, Box<str>)]) {
    edit::put(fields, "access-control-allow-origin", origin);
    for (name, value) in headers {
        edit::put(fields, name, value.as_bytes());
    }
}
