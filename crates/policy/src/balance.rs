//! Which endpoint serves the next request.

pub mod round_robin;

pub use round_robin::Schedule;
