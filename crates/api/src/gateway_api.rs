//! The Gateway API's kinds.

pub mod filter;
pub mod gateway;
pub mod gateway_class;
pub mod grpc_route;
pub mod http_route;
pub mod reference;
pub mod reference_grant;
pub mod route_status;
pub mod session;
pub mod tcp_route;
pub mod tls_route;

pub use gateway::Gateway;
pub use gateway_class::GatewayClass;
pub use grpc_route::GrpcRoute;
pub use http_route::HttpRoute;
pub use reference_grant::ReferenceGrant;
pub use tcp_route::TcpRoute;
pub use tls_route::TlsRoute;

/// The group of these kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";
