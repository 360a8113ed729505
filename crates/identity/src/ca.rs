//! The certificate authority of the mesh: who may ask, what is signed, and where its keys are kept.

mod admit;
mod authority;
mod root;
mod rotation;
mod sign;

pub use admit::{AdmitError, Caller, admit};
pub use authority::{Authority, AuthorityError};
pub use rotation::{Rotation, RotationError};
pub use sign::{MAX_TTL, MIN_TTL, SignError};

use meltemi_names::{ROOT_NAMESPACE, SpiffeId, SpiffeIdError, TrustDomain};

/// The service account of the control plane, as Istio names it.
pub const CONTROL_PLANE_ACCOUNT: &str = "istiod";

/// The control plane's own SPIFFE id: `spiffe://TRUST_DOMAIN/ns/istio-system/sa/istiod`.
pub fn control_plane_id(trust_domain: &TrustDomain) -> Result<SpiffeId, SpiffeIdError> {
    SpiffeId::new(trust_domain.clone(), ROOT_NAMESPACE, CONTROL_PLANE_ACCOUNT)
}
