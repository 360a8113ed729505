//! What is not right with a CA that can work all the same: said at the start, while it can be mended.

use std::path::Path;
use std::time::UNIX_EPOCH;

use meltemi_names::TrustDomain;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{
    AuthorityError, CaFacts, ROOT_CERT, ROOT_KEY, Signing, is_missing, read_certificates,
    read_own_key,
};

/// Warns of what would be felt a year later, or by others.
pub(super) fn warn(dir: &Path, trust_domain: &TrustDomain, signing: &Signing) {
    if let Some(error) = root_key(dir) {
        let until = signing.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        tracing::warn!(%error, until, "the CA's root key cannot be used: nothing can be signed when the intermediate ends (`until`, in seconds since 1970); bring the key back from a copy, or replace the root (`meltemi ca rotate`)");
    }
    if let Some(made_for) = other_trust_domain(dir, trust_domain) {
        tracing::warn!(made_for, now = %trust_domain, "the CA was made for another trust domain: workloads with certificates of that one have to join anew, and policies that name it say nothing of them");
    }
}

/// What is wrong with the root key; it may be kept elsewhere.
pub(super) fn root_key(dir: &Path) -> Option<AuthorityError> {
    let path = dir.join(ROOT_CERT);
    let checked = read_own_key(&dir.join(ROOT_KEY)).and_then(|key| {
        CaFacts::read(&read_certificates(&path)?[0], &path)?.check_key(&key, &path)
    });
    checked.err().filter(|error| !is_missing(error))
}

/// The trust domain that the root was made for, where that is another; it is the organization in its name.
pub(super) fn other_trust_domain(dir: &Path, trust_domain: &TrustDomain) -> Option<String> {
    let roots = read_certificates(&dir.join(ROOT_CERT)).ok()?;
    let (_, root) = X509Certificate::from_der(&roots[0]).ok()?;
    let organization = root.subject().iter_organization().next()?.as_str().ok()?;
    (organization != trust_domain.as_str()).then(|| organization.to_owned())
}
