//! Requests in another's name (Kubernetes' user impersonation, what `kubectl --as` sends) are refused: taken for the
//! caller's own they would show and change what the caller did not mean.
//!
//! The headers: <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>

use http::HeaderMap;

use crate::status::Failure;

/// `Impersonate-User`, `-Group`, `-Uid`, `-Extra-...`, and whatever else may come to mean the like.
const PREFIX: &str = "impersonate-";

/// Refuses a request that is to be taken as another's.
///
/// # Errors
/// 403 that names the header.
pub(crate) fn refuse(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.keys().find(|name| name.as_str().starts_with(PREFIX)) {
        None => Ok(()),
        Some(name) => Err(Failure::forbidden(format!(
            "impersonation is not supported: send no {name} (kubectl: no --as, --as-group, --as-uid)"
        ))),
    }
}
