//! HTTP/2 by the h2 crate: its messages as our heads, its streams as sources and sinks of bodies.

pub(crate) mod convert;
pub(crate) mod stream;

pub(crate) use stream::{H2Error, Receiver, Sender};
