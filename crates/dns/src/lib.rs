//! The name server of the mesh: its own zone, and forwarding of the rest.
//!
//! A question comes in at [`Server`] over UDP or TCP. The `zone` decides, without I/O, what is to be done: names of
//! the mesh are answered from [`Names`], the view of the registry; all others go to the machine's own resolvers
//! (`forward`). `message` is the only place that knows the bytes.

mod error;
mod forward;
pub mod fuzzing;
mod message;
mod names;
mod resolv_conf;
mod server;
mod zone;

pub use error::Error;
pub use forward::{Patience, Upstreams};
pub use names::{Address, Answer, Endpoint, Names, Port, Resolution, Transport};
pub use server::{Config, Limits, Server};
