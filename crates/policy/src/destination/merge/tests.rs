//! What a port and a subset take from where.

use super::*;
use crate::destination::rule::{
    ClientTls, ClientTlsMode, ConnectionPool, LoadBalancer, OutlierDetection, PortTrafficPolicy,
    RetryBudget, SimpleLoadBalancer, TcpPool,
};
use crate::destination::{Chosen, Subset};

fn balancer(simple: SimpleLoadBalancer) -> Option<LoadBalancer> {
    Some(LoadBalancer { simple: Some(simple), ..Default::default() })
}

fn pool(max_connections: u32) -> Option<ConnectionPool> {
    let tcp = TcpPool { max_connections: Some(max_connections), ..Default::default() };
    Some(ConnectionPool { tcp: Some(tcp), http: None })
}

fn tls(mode: ClientTlsMode) -> Option<ClientTls> {
    Some(ClientTls { mode, ..Default::default() })
}

fn chosen() -> Chosen {
    let port = PortTrafficPolicy { port: 443, connection_pool: pool(443), ..Default::default() };
    let whole = TrafficPolicy {
        load_balancer: balancer(SimpleLoadBalancer::Random),
        connection_pool: pool(1),
        outlier_detection: Some(OutlierDetection::default()),
        tls: tls(ClientTlsMode::IstioMutual),
        port_level_settings: vec![port],
        retry_budget: Some(RetryBudget::default()),
        ..Default::default()
    };
    let port = PortTrafficPolicy {
        port: 80,
        tls: tls(ClientTlsMode::Disable),
        ..PortTrafficPolicy::default()
    };
    let part = TrafficPolicy {
        load_balancer: balancer(SimpleLoadBalancer::LeastRequest),
        port_level_settings: vec![port],
        ..Default::default()
    };
    let subset = |name: &str, traffic_policy| Subset {
        name: name.into(),
        traffic_policy,
        ..Default::default()
    };
    Chosen {
        from: Vec::new(),
        traffic_policy: Some(whole),
        subsets: vec![subset("plain", None), subset("own", Some(part))],
    }
}

#[test]
fn each_section_comes_from_its_place() {
    use ClientTlsMode::{Disable, IstioMutual};
    use SimpleLoadBalancer::{LeastRequest, Random};
    for (port, subset, simple, connections, outlier, mode) in [
        (8080, None, Some(Random), Some(1), true, Some(IstioMutual)),
        // The port's settings inherit nothing.
        (443, None, None, Some(443), false, None),
        (8080, Some("plain"), Some(Random), Some(1), true, Some(IstioMutual)),
        (443, Some("plain"), None, Some(443), false, None),
        // The subset replaces what it sets.
        (8080, Some("own"), Some(LeastRequest), Some(1), true, Some(IstioMutual)),
        (443, Some("own"), Some(LeastRequest), Some(443), false, None),
        // Its port's settings replace all, also by what they leave out.
        (80, Some("own"), None, None, false, Some(Disable)),
        (80, None, Some(Random), Some(1), true, Some(IstioMutual)),
        (80, Some("missing"), Some(Random), Some(1), true, Some(IstioMutual)),
    ] {
        let policy = chosen().policy(port, subset);
        let at = format!("port {port}, subset {subset:?}");
        assert_eq!(policy.load_balancer.and_then(|it| it.simple), simple, "{at}");
        let got = policy.connection_pool.and_then(|it| it.tcp?.max_connections);
        assert_eq!(got, connections, "{at}");
        assert_eq!(policy.outlier_detection.is_some(), outlier, "{at}");
        assert_eq!(policy.tls.map(|tls| tls.mode), mode, "{at}");
        // No port can say it, so it always holds.
        assert!(policy.retry_budget.is_some(), "{at}");
        assert!(policy.port_level_settings.is_empty(), "{at}");
    }
}

#[test]
fn without_a_rule_there_is_no_policy() {
    let labels = Default::default();
    let caller = Caller { namespace: "a", labels: &labels, root_namespace: "istio-system" };
    assert_eq!(effective(&[], &caller, "b", 80, Some("v1")), TrafficPolicy::default());
}
