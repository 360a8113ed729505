//! The delta stream: both ends as state machines without I/O, and the client's loop around its own.
//!
//! A subscription is a resource's name, or a glob `PREFIX/*` which stands for every resource `PREFIX/...`. The client
//! keeps what it has subscribed to and which version of each resource it holds; the server keeps what it has sent. After
//! a break the client tells what it holds, so that only differences travel.

pub mod client;
mod follow;
pub mod server;

pub use follow::{Connection, DeltaClient, Handle};

/// The prefix of a glob `PREFIX/*`, without the slash.
fn glob_prefix(name: &str) -> Option<&str> {
    name.strip_suffix("/*")
}

/// The glob that a resource `PREFIX/REST` is a member of. The prefix is what stands before the last slash.
fn glob_of(resource: &str) -> Option<String> {
    let (prefix, _) = resource.rsplit_once('/')?;
    Some(format!("{prefix}/*"))
}
