//! What became of the calls of one endpoint: counted by proxies, kept by the registry, the same form for both.
//!
//! A [`Tally`] is what happened within a window of time; tallies add up. Its latencies are a [`Sketch`] of which the error is
//! bounded, and its code ([`Tally::encode`]) is never longer than the reader allows: where latencies are spread too widely for
//! that, neighbouring buckets become one, and the sketch says how wide they are.

mod code;
mod sketch;
mod tally;

pub use code::MIN_CODE;
pub use sketch::{BUCKETS, OCTAVE, OCTAVES, Sketch, bucket};
pub use tally::{CLASSES, Class, Tally};

#[cfg(test)]
mod tests;
