//! The messages of Envoy's external authorization by gRPC (`envoy.service.auth.v3.Authorization/Check`).

pub use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
pub use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
pub use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
pub use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderValue, HeaderValueOption, QueryParameter, SocketAddress,
};
pub use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer, Request,
};
pub use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
pub use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
pub use envoy_types::pb::envoy::r#type::v3::HttpStatus;
pub use envoy_types::pb::google::protobuf::{BoolValue, Timestamp};
pub use envoy_types::pb::google::rpc::Status;

/// The path of the call.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
