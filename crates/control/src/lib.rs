//! Assembly of a control plane, and nothing else: every part that it puts together lives in a crate of its own.
//!
//! [`ControlPlane::start`] goes through the parts in their order: the state directory (`state_dir`), the sockets
//! (`listen`), the CA and the own certificate (`identity`), the store (`store`), the way of a change from the store to the
//! proxies (`follow`), the keys of issuers of tokens (`key_sets`), and the servers (`grpc`, `api`, `dns`, `monitoring`). When all of it works, [`ControlFile`] tells the
//! commands of this machine where.

mod abandoned;
mod admin;
mod announced;
mod api;
mod ca;
mod codec;
mod control_file;
mod control_plane;
mod dns;
mod door;
mod error;
mod federation;
mod follow;
mod grpc;
mod http_server;
mod identity;
mod key_sets;
mod listen;
mod monitoring;
mod options;
mod outcomes;
mod state_dir;
mod statuses;
mod stopping;
mod store;
mod token;
mod trust;
mod trust_roots;

pub use abandoned::remove_abandoned;
pub use control_file::{ControlFile, ControlFileError};
pub use control_plane::ControlPlane;
pub use error::ControlError;
pub use key_sets::{JwksAllow, JwksAllowError};
pub use listen::Bound;
pub use options::{
    Addresses, AuditChoice, Options, StoreChoice, parse_address, parse_optional_address,
};
pub use token::{TokenFailure, audited_join_token, local_join_token};
