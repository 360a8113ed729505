//! gRPC over the mesh's own TLS: channels of clients, and the connections that a server takes.

mod accept;
mod channel;

pub use accept::{Connection, Incoming, Peer};
pub use channel::{
    Target, TargetError, TargetSource, TlsSource, channel, moving_channel, plaintext_channel,
};
