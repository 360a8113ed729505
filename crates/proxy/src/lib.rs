//! The data plane: what happens to a connection and a request.
//!
//! The way of a request: [`listen`] takes the connection and finds what it speaks; `outbound` (towards the mesh) or
//! `inbound` (towards the application) decides where the request goes; `upstream` makes the attempts; `relay` brings the
//! answer back; `finish` counts it. [`config`] keeps what all of them read, [`start`] puts the whole together.

mod clock;
mod data_path;
mod exchange;
mod finish;
mod hash;
mod http;
pub mod in_process;
mod inbound;
mod io;
pub mod listen;
mod outbound;
mod outcomes;
mod relay;
mod reporting;
mod shared;
mod upstream;
mod worker;

pub mod admin;
pub mod config;
pub mod fuzzing;
pub mod probe;
pub mod start;

pub use data_path::{DataPath, Drain, Listeners, UpstreamListener};
pub use outcomes::Outcomes;
pub use shared::{Local, Shared, alpn_plan};
