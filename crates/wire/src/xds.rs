//! The messages and the service of the delta discovery stream, from Envoy's API.

pub use envoy_types::pb::envoy::config::core::v3::Node;
pub use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
pub use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
pub use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
pub use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
pub use envoy_types::pb::google::protobuf::{Any, Struct, Value};
pub use envoy_types::pb::google::rpc::Status as ErrorDetail;

/// The longest id of a node that is read, bytes.
const MAX_NODE_ID: usize = 1024;

/// The name of the workload behind a node id of Istio's form
/// `sidecar~ADDRESS~WORKLOAD.NAMESPACE~NAMESPACE.svc.cluster.local`: workload and namespace.
pub fn workload_of_node(id: &str) -> Option<(&str, &str)> {
    if id.len() > MAX_NODE_ID {
        return None;
    }
    let mut parts = id.split('~').skip(2);
    let (name, domain) = (parts.next()?, parts.next()?);
    let namespace = domain.split('.').next().filter(|namespace| !namespace.is_empty())?;
    let workload = name.strip_suffix(namespace)?.strip_suffix('.')?;
    Some((workload, namespace))
}

/// The node of a proxy, in Istio's form, with the metadata `NAMESPACE`, `SERVICE_ACCOUNT` and `LABELS`.
pub fn node(
    workload: &str,
    namespace: &str,
    service_account: &str,
    address: &str,
    labels: &std::collections::BTreeMap<String, String>,
) -> Node {
    let text = |text: &str| Value { kind: Some(ValueKind::StringValue(text.into())) };
    let labels = labels.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let labels = Value { kind: Some(ValueKind::StructValue(Struct { fields: labels })) };
    let metadata = Struct {
        fields: [
            ("NAMESPACE".to_owned(), text(namespace)),
            ("SERVICE_ACCOUNT".to_owned(), text(service_account)),
            ("LABELS".to_owned(), labels),
        ]
        .into(),
    };
    Node {
        id: format!(
            "sidecar~{address}~{workload}.{namespace}~{namespace}.{}",
            meltemi_names::DEFAULT_DOMAIN_SUFFIX
        ),
        cluster: workload.into(),
        metadata: Some(metadata),
        ..Node::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_which_workload_it_is() {
        let node = node("hello-1.x", "shop", "hello", "10.0.0.1", &Default::default());
        assert_eq!(node.id, "sidecar~10.0.0.1~hello-1.x.shop~shop.svc.cluster.local");
        assert_eq!(workload_of_node(&node.id), Some(("hello-1.x", "shop")));
        for wrong in ["", "sidecar~a~b", "sidecar~a~b.c~d.svc", "sidecar~a~b.c~.svc"] {
            assert_eq!(workload_of_node(wrong), None, "{wrong}");
        }
    }
}
