//! Kinds of our own (`meltemi.io/v1alpha1`), for what Istio, the Gateway API and Kubernetes lack.

mod access_token;
mod certificate_revocation;

pub use access_token::{AccessToken, AccessTokenSpec, AccessTokenStatus};
pub use certificate_revocation::{
    CertificateRevocation, CertificateRevocationSpec, CertificateRevocationStatus,
};

/// The group of these kinds.
pub const GROUP: &str = "meltemi.io";
