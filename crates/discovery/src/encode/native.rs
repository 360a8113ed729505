//! Meltemi's own resource types.

pub(crate) mod endpoint;
pub(crate) mod service;
pub(crate) mod workload;
