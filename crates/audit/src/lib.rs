//! The audit log: every change and every use of a token, with who, what, from where, and the difference.
//!
//! What happens is an [`Event`]; [`Recorded`] is a store that notes what a caller changes in it; an [`AuditLog`]
//! appends events as lines of JSON. The format is Kubernetes' own (`audit.k8s.io/v1`), so that its tools read it; what
//! that lacks, the difference, stands in the annotation `meltemi.io/changes`.

mod difference;
mod event;
mod log;
mod recorded;
pub mod timestamp;

pub use difference::{Difference, difference};
pub use event::{Change, Event, ObjectRef, User};
pub use log::{AuditLog, OpenError, append};
pub use recorded::{Changes, Recorded};
