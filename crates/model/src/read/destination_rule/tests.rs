use serde_json::{Value, json};

use crate::read::tests::read_yaml;
use crate::record::{ObjectKind, Record};

fn read(spec: &str) -> Result<(String, Value), String> {
    annotated("{}", spec)
}

fn annotated(annotations: &str, spec: &str) -> Result<(String, Value), String> {
    let yaml = format!(
        r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z", annotations: {annotations}}}
spec:
{spec}
"#
    );
    match read_yaml(ObjectKind::DestinationRule, &yaml)? {
        Record::DestinationRule(it) => {
            Ok((it.host.to_string(), serde_json::to_value(&it.rule).unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_has_its_place() {
    let (host, rule) = read(
        r#"
  host: reviews
  exportTo: [".", other]
  workloadSelector: {matchLabels: {app: web}}
  trafficPolicy:
    loadBalancer:
      simple: LEAST_REQUEST
      localityLbSetting:
        enabled: true
        distribute: [{from: "eu/a/*", to: {"eu/a/*": 80, "eu/b/*": 20}}]
        failoverPriority: [topology.istio.io/network]
      warmup: {duration: 30s, minimumPercent: 20, aggression: 1.5}
    connectionPool:
      tcp:
        maxConnections: 1
        connectTimeout: 2s
        tcpKeepalive: {probes: 3, time: 4s, interval: 5s}
        maxConnectionDuration: 6s
        idleTimeout: 7s
      http:
        http1MaxPendingRequests: 8
        http2MaxRequests: 9
        maxRequestsPerConnection: 10
        maxRetries: 11
        idleTimeout: 12s
        h2UpgradePolicy: UPGRADE
        maxConcurrentStreams: 13
    outlierDetection:
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 14
      consecutiveGatewayErrors: 0
      consecutive5xxErrors: 15
      interval: 16s
      baseEjectionTime: 17s
      maxEjectionPercent: 18
      minHealthPercent: 19
    tls:
      mode: MUTUAL
      clientCertificate: /cert
      privateKey: /key
      caCertificates: /ca
      subjectAltNames: [a, b]
      sni: name
      caCrl: /crl
    portLevelSettings:
    - port: {number: 80}
      loadBalancer: {simple: RANDOM}
      connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: DO_NOT_UPGRADE}}
      outlierDetection: {consecutiveErrors: 4}
      tls: {mode: MUTUAL, credentialName: secret, insecureSkipVerify: true}
    tunnel: {protocol: POST, targetHost: Far.Example.com, targetPort: 443}
    proxyProtocol: {version: V2}
    retryBudget: {percent: 25, minRetryConcurrency: 4}
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
  - name: all
"#,
    )
    .unwrap();
    assert_eq!(host, "reviews.shop.svc.cluster.local");
    assert_eq!(
        rule,
        json!({
            "name": "it", "namespace": "shop", "created": "2026-01-01T00:00:00Z", "host": host,
            "exportTo": [".", "other"], "workloadSelector": {"app": "web"},
            "trafficPolicy": {
                "loadBalancer": {
                    "simple": "LEAST_REQUEST",
                    "localityLbSetting": {
                        "enabled": true,
                        "distribute": [{"from": "eu/a/*", "to": {"eu/a/*": 80, "eu/b/*": 20}}],
                        "failoverPriority": ["topology.istio.io/network"]},
                    "warmup": {"durationMs": 30_000, "minimumPercent": 20.0, "aggression": 1.5}},
                "connectionPool": {
                    "tcp": {
                        "maxConnections": 1, "connectTimeoutMs": 2000,
                        "tcpKeepalive": {"probes": 3, "timeMs": 4000, "intervalMs": 5000},
                        "maxConnectionDurationMs": 6000, "idleTimeoutMs": 7000},
                    "http": {
                        "http1MaxPendingRequests": 8, "http2MaxRequests": 9,
                        "maxRequestsPerConnection": 10, "maxRetries": 11, "idleTimeoutMs": 12_000,
                        "h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 13}},
                "outlierDetection": {
                    "splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 14,
                    "consecutiveGatewayErrors": 0, "consecutive5xxErrors": 15, "intervalMs": 16_000,
                    "baseEjectionTimeMs": 17_000, "maxEjectionPercent": 18, "minHealthPercent": 19},
                "tls": {
                    "mode": "MUTUAL", "clientCertificate": "/cert", "privateKey": "/key",
                    "caCertificates": "/ca", "subjectAltNames": ["a", "b"], "sni": "name",
                    "caCrl": "/crl"},
                "portLevelSettings": [{
                    "port": 80, "loadBalancer": {"simple": "RANDOM"},
                    "connectionPool": {
                        "http": {"useClientProtocol": true, "h2UpgradePolicy": "DO_NOT_UPGRADE"}},
                    "outlierDetection": {"consecutive5xxErrors": 4},
                    "tls": {"mode": "MUTUAL", "credentialName": "secret", "insecureSkipVerify": true}}],
                "tunnel": {"usePost": true, "targetHost": "far.example.com", "targetPort": 443},
                "proxyProtocol": "V2",
                "retryBudget": {"percent": 25.0, "minRetryConcurrency": 4}},
            "subsets": [
                {"name": "v1", "labels": {"version": "v1"},
                 "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
                {"name": "all"}],
        })
    );
}

#[test]
fn balancers_are_read_in_all_their_forms() {
    let ring = json!({"ringHash": {"minimumRingSize": 1024}});
    let ring_of = |size: u64| json!({"ringHash": {"minimumRingSize": size}});
    let hash = |key: Value, table: &Value| json!({"consistentHash": {"key": key, "table": table}});
    for (given, expected) in [
        ("{simple: UNSPECIFIED}", json!({})),
        ("{simple: LEAST_CONN}", json!({"simple": "LEAST_REQUEST"})),
        ("{simple: PASSTHROUGH}", json!({"simple": "PASSTHROUGH"})),
        (
            "{consistentHash: {httpHeaderName: X-User}}",
            hash(json!({"httpHeaderName": "x-user"}), &ring),
        ),
        ("{consistentHash: {useSourceIp: true}}", hash(json!("useSourceIp"), &ring)),
        ("{consistentHash: {useSourceIp: false}}", json!({"consistentHash": {"table": ring}})),
        (
            "{consistentHash: {httpQueryParameterName: user, ringHash: {minimumRingSize: 7}}}",
            hash(json!({"httpQueryParameterName": "user"}), &ring_of(7)),
        ),
        (
            "{consistentHash: {useSourceIp: true, minimumRingSize: 8}}",
            hash(json!("useSourceIp"), &ring_of(8)),
        ),
        (
            "{consistentHash: {useSourceIp: true, maglev: {}}}",
            hash(json!("useSourceIp"), &json!({"maglev": {"tableSize": 65537}})),
        ),
        (
            "{consistentHash: {useSourceIp: true, maglev: {tableSize: 11}}}",
            hash(json!("useSourceIp"), &json!({"maglev": {"tableSize": 11}})),
        ),
        (
            "{consistentHash: {httpCookie: {name: c, path: /p, ttl: 0s, attributes: [{name: SameSite, value: Lax}]}}}",
            hash(
                json!({"httpCookie": {"name": "c", "path": "/p", "ttlMs": 0,
                    "attributes": [{"name": "SameSite", "value": "Lax"}]}}),
                &ring,
            ),
        ),
        (
            "{warmupDurationSecs: 10s}",
            json!({"warmup": {"durationMs": 10_000, "minimumPercent": 10.0, "aggression": 1.0}}),
        ),
        (
            "{localityLbSetting: {failover: [{from: eu, to: us}]}}",
            json!({"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}}),
        ),
    ] {
        let spec = format!("  host: x.com\n  trafficPolicy: {{loadBalancer: {given}}}");
        let (_, rule) = read(&spec).unwrap();
        assert_eq!(rule["trafficPolicy"]["loadBalancer"], expected, "{given}");
    }
}

#[test]
fn what_is_left_out_has_istios_default() {
    let policies = [
        ("{tls: {}}", json!({"tls": {"mode": "DISABLE"}})),
        ("{tls: {mode: ISTIO_MUTUAL}}", json!({"tls": {"mode": "ISTIO_MUTUAL"}})),
        ("{proxyProtocol: {}}", json!({"proxyProtocol": "V1"})),
        ("{retryBudget: {}}", json!({"retryBudget": {"percent": 20.0, "minRetryConcurrency": 3}})),
        ("{connectionPool: {tcp: {maxConnections: 0}}}", json!({"connectionPool": {"tcp": {}}})),
        ("{outlierDetection: {}}", json!({"outlierDetection": {}})),
        (
            "{connectionPool: {tcp: {connectTimeout: 1ms, idleTimeout: 100us}}}",
            json!({"connectionPool": {"tcp": {"connectTimeoutMs": 1, "idleTimeoutMs": 1}}}),
        ),
    ];
    for (given, expected) in policies {
        let (_, rule) = read(&format!("  host: x.com\n  trafficPolicy: {given}")).unwrap();
        assert_eq!(rule["trafficPolicy"], expected, "{given}");
    }
}

#[test]
fn statistics_of_the_annotation_are_added_to_every_section_on_outliers() {
    let spec = "  host: x.com
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 7}
    portLevelSettings:
    - {port: {number: 80}, outlierDetection: {}}
    - {port: {number: 81}}
  subsets:
  - {name: v1, trafficPolicy: {outlierDetection: {interval: 1s}}}
  - {name: v2, trafficPolicy: {loadBalancer: {simple: RANDOM}}}";
    let rate = json!({"minimumHosts": 5, "requestVolume": 100, "stdevFactor": 1500});
    let share = json!({"threshold": 85, "minimumHosts": 3, "requestVolume": 20});
    for (annotation, expected) in [
        (r#"{"successRateStdevFactor": 1500}"#, json!({"successRate": rate})),
        (
            r#"{"failurePercentageMinimumHosts": 3, "failurePercentageRequestVolume": 20}"#,
            json!({"failurePercentage": share}),
        ),
    ] {
        let annotations = format!("{{meltemi.io/outlier-detection: '{annotation}'}}");
        let (_, rule) = annotated(&annotations, spec).unwrap();
        let with = |field: &str, value: u64| {
            let mut section = expected.clone();
            section[field] = json!(value);
            section
        };
        assert_eq!(
            rule["trafficPolicy"],
            json!({
                "outlierDetection": with("consecutive5xxErrors", 7),
                "portLevelSettings": [{"port": 80, "outlierDetection": expected}, {"port": 81}],
            }),
        );
        let parts = &rule["subsets"];
        let first = json!({"outlierDetection": with("intervalMs", 1000)});
        assert_eq!(parts[0]["trafficPolicy"], first);
        assert_eq!(parts[1]["trafficPolicy"], json!({"loadBalancer": {"simple": "RANDOM"}}));
    }
    let reason = annotated("{meltemi.io/outlier-detection: '{}'}", spec).unwrap_err();
    assert!(reason.contains("meltemi.io/outlier-detection"), "{reason}");
}

#[test]
fn hosts_are_made_full_and_wrong_rules_are_refused() {
    for (host, expected) in [
        ("reviews", "reviews.shop.svc.cluster.local"),
        ("Reviews.other.svc.cluster.local.", "reviews.other.svc.cluster.local"),
        ("'*.example.com'", "*.example.com"),
        ("reviews.other", "reviews.other"),
    ] {
        assert_eq!(read(&format!("  host: {host}")).unwrap().0, expected);
    }
    for (spec, part) in [
        ("  host: a b", "spec.host"),
        ("  host: a\n  unknown: 1", "spec.unknown"),
        ("  host: a\n  subsets: [{name: v1}, {name: v1}]", "spec.subsets[1].name"),
        ("  host: a\n  trafficPolicy: {tls: {mode: MUTUAL}}", "spec.trafficPolicy.tls"),
    ] {
        let reason = read(spec).expect_err(spec);
        assert!(reason.contains(part), "{reason}");
    }
}
