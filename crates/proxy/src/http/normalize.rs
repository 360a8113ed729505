//! The path of a request in the one form in which it is routed, judged and passed on.

use meltemi_policy::path::{self, Normalization, Unclear};

use super::head::RequestHead;

/// Brings the path into its form.
pub(crate) fn normalize(head: &mut RequestHead, how: Normalization) -> Result<(), Unclear> {
    if let Some(target) = path::normalize(head.target(), how)? {
        head.set_target(&target);
    }
    Ok(())
}
