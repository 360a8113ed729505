//! Meltemi's own resource types.

pub(crate) mod endpoint;
pub(crate) mod rules;
pub(crate) mod service;
mod sidecar;
pub(crate) mod workload;
