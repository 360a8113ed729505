//! How callers treat a service: the rules of it, and what of them holds for one caller, port and subset.

mod choose;
mod merge;
pub mod rule;

pub use choose::{Caller, Chosen, choose};
pub use merge::effective;
pub use rule::{DestinationRule, Subset, TrafficPolicy};
