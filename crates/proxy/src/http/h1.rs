//! HTTP/1.1 (RFC 9112): parsing, chunks, writing, and the two ends of a connection.

pub(crate) mod chunked;
pub(crate) mod encode;
pub(crate) mod parse;
pub(crate) mod reader;
pub(crate) mod writer;

pub(crate) use reader::{ReadError, Reader};
pub(crate) use writer::{Framing, Writer};
