//! Applications behind the sidecars: small servers in the test's own process, which a test steers and reads directly.

mod bundle_endpoint;
mod grpc;
mod http;
mod idle_closer;
mod issuer;
mod record;
mod tcp;
mod workload_api;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use bundle_endpoint::BundleEndpoint;
pub use grpc::GrpcApp;
pub use http::{HttpApp, UnixApp, serve};
pub use idle_closer::IdleCloser;
pub use issuer::Issuer;
pub use record::Recorded;
pub use tcp::TcpApp;
pub use workload_api::WorkloadApi;

/// A listener whose connections are each served by a task; all end when this is dropped.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves each connection of a free port.
    async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at(0, serve).await
    }

    /// Serves each connection of this port; 0 picks a free one.
    async fn start_at<F>(port: u16, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = bound.unwrap_or_else(|error| panic!("port {port}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        Server { address, task: tokio::spawn(accept_all(listener, serve)) }
    }
}

async fn accept_all<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                drop(stream.set_nodelay(true));
                connections.spawn(serve(stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
