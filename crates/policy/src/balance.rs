//! Which endpoint serves the next request.
//!
//! A [`Balancer`] is built when endpoints or policy change: endpoints are arranged in priorities (`locality`, `priority`),
//! and laid out for their algorithm (`round_robin`, `least_request`, `peak_ewma`, `learned`, `weighted`, `ring_hash`, `maglev`). A choice then looks
//! at a few places only, however many endpoints there are. An ejection builds anew only the view of what can be used.

mod balancer;
mod draws;
mod endpoint;
mod hash;
mod learned;
mod least_request;
mod locality;
mod maglev;
mod meter;
mod observed;
mod peak_ewma;
mod priority;
mod rendezvous;
mod ring_hash;
pub mod round_robin;
mod slow_start;
mod subset;
mod weighted;

pub use balancer::{Ask, Balancer};
pub use endpoint::{Client, Endpoint};
pub use hash::hash;
pub use meter::Meter;
pub use observed::{Observed, Report, Told};
pub use rendezvous::{SMALLEST_SUBSET, SUBSETTING_THRESHOLD, rank, subset};
pub use round_robin::Schedule;
pub use subset::LabelIndex;
