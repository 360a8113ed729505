//! The rules of the mesh and their evaluation: the same code for proxies, SDK and control plane.
//!
//! Everything here is pure: time and randomness come in as arguments.

pub mod authz;
pub mod balance;
pub mod circuit;
pub mod destination;
pub mod jwt;
pub mod outcome;
pub mod outlier;
pub mod path;
pub mod peer;
pub mod retry;
pub mod route;
pub mod server_tls;
