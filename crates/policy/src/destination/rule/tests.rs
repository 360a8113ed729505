//! That rules come back from JSON as they were, and how they look in it.

use serde_json::json;

use super::*;

fn full() -> DestinationRule {
    let hash = ConsistentHash {
        key: Some(HashKey::HttpCookie(HttpCookie {
            name: "user".into(),
            path: "/".into(),
            ttl_ms: Some(0),
            attributes: vec![CookieAttribute { name: "Secure".into(), value: String::new() }],
        })),
        table: HashTable::MAGLEV,
    };
    let locality = LocalityLbSetting {
        enabled: Some(true),
        distribute: vec![LocalityDistribute {
            from: "eu/*".into(),
            to: BTreeMap::from([("eu/*".into(), 80), ("us/*".into(), 20)]),
        }],
        failover: vec![LocalityFailover { from: "eu".into(), to: "us".into() }],
        failover_priority: vec!["topology.istio.io/network".into(), "version=v1".into()],
    };
    let balancer = LoadBalancer {
        consistent_hash: Some(hash),
        locality_lb_setting: Some(locality),
        warmup: Some(Warmup::over(60_000)),
        ..Default::default()
    };
    let policy = TrafficPolicy {
        load_balancer: Some(balancer),
        connection_pool: Some(ConnectionPool {
            tcp: Some(TcpPool {
                max_connections: Some(5),
                tcp_keepalive: Some(TcpKeepalive { probes: Some(3), ..Default::default() }),
                ..Default::default()
            }),
            http: Some(HttpPool {
                h2_upgrade_policy: H2UpgradePolicy::Upgrade,
                max_retries: Some(1),
                ..Default::default()
            }),
        }),
        outlier_detection: Some(OutlierDetection {
            consecutive_5xx_errors: Some(7),
            success_rate: Some(SuccessRate::default()),
            failure_percentage: Some(FailurePercentage::default()),
            ..Default::default()
        }),
        tls: Some(ClientTls {
            mode: ClientTlsMode::Mutual,
            sni: "a.b".into(),
            ..Default::default()
        }),
        port_level_settings: vec![PortTrafficPolicy { port: 80, ..Default::default() }],
        tunnel: Some(TunnelSettings {
            use_post: true,
            target_host: "proxy.example.com".into(),
            target_port: 3128,
        }),
        proxy_protocol: Some(ProxyProtocolVersion::V2),
        retry_budget: Some(RetryBudget::default()),
    };
    DestinationRule {
        name: "cart".into(),
        namespace: "shop".into(),
        created: "2026-01-01T00:00:00Z".into(),
        host: "cart.shop.svc.cluster.local".into(),
        export_to: vec![".".into()],
        workload_selector: Some(BTreeMap::from([("app".into(), "web".into())])),
        traffic_policy: Some(policy.clone()),
        subsets: vec![Subset {
            name: "v1".into(),
            labels: BTreeMap::from([("version".into(), "v1".into())]),
            traffic_policy: Some(policy),
        }],
    }
}

#[test]
fn a_rule_survives_json() {
    for rule in [full(), DestinationRule::default()] {
        let text = serde_json::to_vec(&rule).unwrap();
        assert_eq!(serde_json::from_slice::<DestinationRule>(&text).unwrap(), rule);
    }
}

#[test]
fn json_has_the_words_of_the_field_and_no_defaults() {
    let rule = DestinationRule {
        name: "cart".into(),
        namespace: "shop".into(),
        host: "cart".into(),
        traffic_policy: Some(TrafficPolicy {
            load_balancer: Some(LoadBalancer {
                simple: Some(SimpleLoadBalancer::LeastRequest),
                ..Default::default()
            }),
            outlier_detection: Some(OutlierDetection {
                consecutive_5xx_errors: Some(7),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let expected = json!({
        "name": "cart", "namespace": "shop", "host": "cart",
        "trafficPolicy": {
            "loadBalancer": {"simple": "LEAST_REQUEST"},
            "outlierDetection": {"consecutive5xxErrors": 7},
        },
    });
    assert_eq!(serde_json::to_value(&rule).unwrap(), expected);
}

#[test]
fn what_is_left_out_has_istios_defaults() {
    let budget: RetryBudget = serde_json::from_value(json!({})).unwrap();
    assert_eq!((budget.percent, budget.min_retry_concurrency), (20.0, 3));
    let warmup: Warmup = serde_json::from_value(json!({"durationMs": 5})).unwrap();
    assert_eq!((warmup.minimum_percent, warmup.aggression), (10.0, 1.0));
    let hash: ConsistentHash = serde_json::from_value(json!({})).unwrap();
    assert_eq!(hash.table, HashTable::RingHash { minimum_ring_size: 1024 });
}

#[test]
fn an_unknown_field_is_refused() {
    let text = json!({"name": "a", "namespace": "b", "host": "c", "trafficPolice": {}});
    let error = serde_json::from_value::<DestinationRule>(text).unwrap_err();
    assert!(error.to_string().contains("trafficPolice"), "{error}");
}

#[test]
fn balancing_is_said_of_the_service_its_subsets_and_their_ports() {
    let warm = LoadBalancer { warmup: Some(Warmup::over(5)), ..LoadBalancer::default() };
    let port = |load_balancer| PortTrafficPolicy { port: 80, load_balancer, ..Default::default() };
    let mut part = TrafficPolicy { load_balancer: Some(warm.clone()), ..Default::default() };
    part.port_level_settings = vec![port(None), port(Some(warm))];
    let plain = Subset { name: "v1".into(), ..Subset::default() };
    let own = Subset { name: "v2".into(), traffic_policy: Some(part), ..Subset::default() };
    let mut rule = DestinationRule { subsets: vec![plain, own], ..DestinationRule::default() };
    rule.balance(SimpleLoadBalancer::Learned);
    let simple = |it: &Option<LoadBalancer>| it.as_ref().and_then(|it| it.simple);
    let learned = Some(SimpleLoadBalancer::Learned);
    assert_eq!(simple(&rule.traffic_policy.unwrap().load_balancer), learned);
    assert_eq!(rule.subsets[0].traffic_policy, None, "it has the service's");
    let own = rule.subsets[1].traffic_policy.as_ref().unwrap();
    assert_eq!(simple(&own.load_balancer), learned);
    assert!(own.load_balancer.as_ref().unwrap().warmup.is_some());
    assert!(own.port_level_settings.iter().all(|port| simple(&port.load_balancer) == learned));
}
