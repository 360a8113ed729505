//! The mesh inside a program (proxyless): its calls and handlers go over the very data path of the sidecars, without a
//! proxy beside it and without a hop over the loopback. Discovery, balancing, mutual TLS, retries, policies and outcomes are
//! the sidecars' own code.
//!
//! ```no_run
//! use meltemi_sdk::{Control, Mesh, Service};
//! use http_body_util::{Empty, Full};
//! use bytes::Bytes;
//!
//! # async fn run() -> Result<(), meltemi_sdk::Error> {
//! let control = Control::at("https://mesh.example.com:15012", &std::fs::read_to_string("roots.pem").unwrap())?;
//! let mesh = Mesh::connect(control, "eyJ0eXAi...").await?;
//!
//! // Serves `hello` on its port 8001, by a handler in this process.
//! let hello = Service::new("hello", 8001)
//!     .handler_fn(|_request| async { http::Response::new(Full::new(Bytes::from("hello"))) })
//!     .register(&mesh, [10, 0, 0, 7].into())
//!     .await?;
//!
//! // Calls another service.
//! let request = http::Request::get("http://reviews/top").body(Empty::<Bytes>::new()).unwrap();
//! let response = mesh.call_whole(request, 1024 * 1024).await?;
//! assert_eq!(response.status(), 200);
//!
//! // Takes the service out in order: nobody knows it any longer, and its last request is done.
//! hello.drain().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The runtime
//!
//! A mesh, and each service that is registered with it, lives on the Tokio runtime that has called [`Mesh::connect`] or
//! [`Service::register`]: the handler runs there, and so does what the control plane is told and tells. That runtime is to be
//! driven for as long as they are used. While one of a single thread (`new_current_thread`) is in no `block_on`, nobody is
//! answered; where it has ended, as that of a `#[tokio::test]` does, what was joined on it is of no use any longer. Calls may be
//! made from any runtime.

mod call;
mod channel;
mod claims;
mod control;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod handler;
mod member;
mod mesh;
mod request;
mod service;

pub use channel::Channel;
pub use control::{Control, Token};
pub use error::Error;
pub use handler::Handler;
pub use meltemi_proxy::in_process::{Body, CallError, Ours};
pub use mesh::{Builder, Mesh};
pub use service::{Registered, Service};

/// What a body or a handler fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
