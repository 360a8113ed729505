//! What rules change in an answer.

use meltemi_policy::route::HeaderEdit;

use super::edit;
use crate::http::head::Fields;

/// A page's origin, and the headers by which CORS lets its browser know what it may.
pub(crate) type Cors<'t> = (Vec<u8>, &'t [(&'static str, Box<str>)]);

/// The changes of an answer.
#[derive(Debug, Default)]
pub(crate) struct Changes<'t> {
    pub(crate) edits: &'t [HeaderEdit],
    pub(crate) cors: Option<Cors<'t>>,
}

impl Changes<'_> {
    /// Makes them.
    pub(crate) fn apply(&self, fields: &mut Fields) {
        if let Some((origin, headers)) = &self.cors {
            allow(fields, origin, headers);
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
