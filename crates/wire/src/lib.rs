//! What travels between control plane and proxies: messages and the two ends of the delta stream.
//!
//! [`proto`] holds the generated messages, [`xds`] the stream's own messages (Envoy's), [`ext_authz`] those that proxies and
//! authorizers exchange, [`load_stats`] the reports of loads. [`delta`] has both ends of
//! the stream as state machines without I/O, and the client's loop. [`registration`] and [`certificate`] are the
//! clients of the other two services; [`transport`] carries all of them over TLS. [`workload_api`] asks an agent of this
//! machine for certificates.

pub mod certificate;
pub mod delta;
pub mod ext_authz;
pub mod load_stats;
pub mod proto;
mod protocol;
pub mod registration;
mod retry;
pub mod transport;
pub mod type_url;
pub mod workload_api;
pub mod xds;
