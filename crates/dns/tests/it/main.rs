//! The name server on real sockets, asked by a client of our own and by `dig`.

mod client;
mod dig;
mod forward;
mod limits;
mod mesh;
mod serve;
mod upstream;
