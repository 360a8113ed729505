//! The end of a request: one place for status, flags, metrics and the log line.

pub(crate) mod connection;
pub(crate) mod local;
pub(crate) mod outcome;
pub(crate) mod pass_back;
pub(crate) mod series;
