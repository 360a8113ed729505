//! The API over real sockets, asked by a plain HTTP client and, where there is one, by kubectl.

mod discovery;
mod guard;
mod kubectl;
mod patches;
mod reads;
mod roles;
mod server;
mod watches;
mod writes;
