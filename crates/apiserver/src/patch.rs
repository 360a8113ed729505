//! Changes to a part of an object: which kind of patch a body is, and what it makes of the object.

mod json;
mod merge;
mod strategic;

use meltemi_store::Key;
use serde_json::Value;

use crate::status::Failure;

pub(crate) use self::merge::{merge, prune};
pub(crate) use self::strategic::{has_merge_lists, merge as merge_strategic};

/// The kinds of patch, by content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' merge that knows the keys of some lists; for Kubernetes' own kinds only, as there.
    Strategic,
    /// Server-side apply.
    Apply,
}

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl PatchType {
    /// The kind of patch that this content type announces for an object of this key.
    pub(crate) fn of(content_type: &str, key: &Key) -> Result<Self, Failure> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence {
            MERGE => Ok(Self::Merge),
            JSON => Ok(Self::Json),
            STRATEGIC if has_merge_lists(key) => Ok(Self::Strategic),
            APPLY => Ok(Self::Apply),
            _ if has_merge_lists(key) => {
                Err(Failure::unsupported_media_type(essence, &[MERGE, JSON, STRATEGIC, APPLY]))
            }
            _ => Err(Failure::unsupported_media_type(essence, &[MERGE, JSON, APPLY])),
        }
    }
}

/// The object after a patch of a kind other than apply.
pub(crate) fn patched(
    kind: PatchType,
    key: &Key,
    object: &Value,
    patch: &Value,
) -> Result<Value, Failure> {
    let mut object = object.clone();
    match kind {
        PatchType::Merge | PatchType::Apply => merge(&mut object, patch),
        PatchType::Json => json::apply(&mut object, patch).map_err(Failure::bad_request)?,
        PatchType::Strategic => {
            merge_strategic(key, &mut object, patch).map_err(Failure::bad_request)?
        }
    }
    Ok(object)
}
