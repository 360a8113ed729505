//! Clients: a raw one for HTTP/1.1 that shows and controls every byte, hyper's for HTTP/2, tonic's for gRPC.

mod http1;
mod http2;
mod response;

pub use http1::Http1;
pub use http2::{Http2, grpc};
pub use response::Response;
