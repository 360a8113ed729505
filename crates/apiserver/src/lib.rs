//! The Kubernetes-shaped API over the store: kubectl, client libraries and our own commands talk to this.
//!
//! A request passes `serve` (host, token, body), `authorize` (the roles of who asks) and `audited` (the log), is read as a `target` (kind, version, namespace, name) and `query`,
//! and is answered by `read`, `watch`, `write` or `delete`. `object` holds what Kubernetes' metadata rules make of
//! an object, `status` how failures are told.

mod access_token;
mod apply;
mod audited;
mod auth;
mod authorize;
mod bootstrap;
mod caller;
mod delete;
mod discovery;
pub mod fuzzing;
mod host;
mod impersonation;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod query;
mod read;
mod rejected;
mod review;
mod selector;
mod serve;
mod shape;
mod state;
mod status;
mod table;
mod target;
mod watch;
mod write;

pub use access_token::{Holder, Issued, issue};
pub use auth::{AdminToken, Anyone, Authenticator, ClientCertificate, MASTERS, Principal};
pub use authorize::may_see;
pub use bootstrap::ensure_namespaces;
pub use host::Hosts;
pub use rejected::{Rejected, Rejections};
pub use serve::{BODY_LIMIT, guard, router};
pub use state::{ApiState, Closing};
pub use status::{Cause, Failure};
