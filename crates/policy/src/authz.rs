//! Who may do what with a workload: Istio's `AuthorizationPolicy`.
//!
//! [`rule`] is what travels. [`Policies::compile`] makes one value of all policies of a workload; [`Policies::settle`] does for
//! a connection what does not depend on its requests, and [`Policies::judge`] says of a request (or of a connection of bytes)
//! what becomes of it. [`explain()`] says why, by the very same tests. The order is Istio's: CUSTOM, DENY, ALLOW; a workload
//! with at least one ALLOW policy takes nothing that none of them allows
//! (<https://istio.io/latest/docs/concepts/security/#implicit-enablement>).

mod attribute;
mod compile;
mod condition;
mod decide;
mod explain;
mod forwarded;
mod index;
mod input;
mod matcher;
mod operation;
mod policies;
pub mod provider;
mod requests;
pub mod rule;
mod source;
mod template;
mod test;

pub use compile::CompileError;
pub use decide::{Denial, DryRun, Judgement};
pub use explain::{Explanation, Field, PolicyExplanation, RuleExplanation, explain};
pub use forwarded::trusted_client;
pub use input::{Connection, NoRequest, Peer, Request, Token};
pub use policies::{Policies, RuleId, Settled};
pub use requests::{fields_of_requests, is_for_port};

#[cfg(test)]
mod tests;
