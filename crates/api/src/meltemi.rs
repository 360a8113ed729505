//! Kinds of our own (`meltemi.io/v1alpha1`), for what Istio, the Gateway API and Kubernetes lack.

mod access_token;

pub use access_token::{AccessToken, AccessTokenSpec, AccessTokenStatus};

/// The group of these kinds.
pub const GROUP: &str = "meltemi.io";
