//! Towards the application: what the mesh sends to our workload.

mod authenticate;
pub(crate) mod authorize;
pub(crate) mod caller;
pub(crate) mod connection;
pub(crate) mod external;
pub(crate) mod http;
mod probe;
pub(crate) mod standing;
pub(crate) mod tcp;
