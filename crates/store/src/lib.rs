//!
//! Resources come in through the API server as JSON, and leave as a list and a stream of events from which
//! the model is built. This crate knows keys, versions and bytes; what a resource means is the `api` crate's
//! matter.

pub mod conformance;
pub mod directory;
pub mod embedded;
mod error;
mod key;
mod memory;
mod store;
mod table;
mod watch;
mod writer;

pub use directory::{Codec, DirectoryStore, Document, Problem};
pub use embedded::EmbeddedStore;
pub use error::{Result, StoreError};
pub use key::{Key, Selector, kind};
pub use memory::MemoryStore;
pub use store::{BoxFuture, Entry, Event, Expect, Listing, Store};
pub use table::Limits;
pub use watch::Watch;
