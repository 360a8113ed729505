//! A small language for tests of whole meshes: start one of real processes, put services into it, call, expect.
//!
//! ```ignore
//! let mesh = Mesh::start().await;
//! let app = HttpApp::start("hello-1").await;
//! let hello = mesh.workload("hello").port(app.port(), "http").proxy().await;
//! let client = mesh.workload("client").proxy().await;
//! assert_eq!(client.http().await.get("http://hello/").await.status, 200);
//! ```

pub mod app;
mod binary;
pub mod client;
pub mod load;
pub mod mesh;
mod patience;
pub mod peer;
mod port;
mod process;

pub use app::{
    BundleEndpoint, GrpcApp, HttpApp, IdleCloser, Issuer, Recorded, TcpApp, UnixApp, WorkloadApi,
};
pub use binary::{meltemi, test_app};
pub use client::{Http1, Response};
pub use load::{Load, Report};
pub use mesh::{HttpService, Mesh, Outcome, Sidecar, WorkloadBuilder};
pub use patience::{PATIENCE, eventually, within};
pub use port::free_port;
pub use process::{Process, Signal, descendants, is_alive, kill, memory_kib};

/// gRPC's health checking protocol.
#[expect(missing_docs, reason = "generated")]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The test application's gRPC messages and service.
#[expect(missing_docs, reason = "generated")]
pub mod calls {
    tonic::include_proto!("meltemi.test.v1");
}

/// The SPIFFE Workload API's messages and service.
#[expect(missing_docs, reason = "generated")]
pub mod spiffe {
    tonic::include_proto!("_");
}
