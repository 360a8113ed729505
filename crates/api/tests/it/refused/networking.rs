//! What is said of Istio's other networking kinds.

use super::{object, said};

#[test]
fn other_networking_kinds() {
    let api = "networking.istio.io/v1";
    for (kind, spec, expected) in [
        (
            "VirtualService",
            "{hosts: [a]}",
            "spec: no rule: at least one of `http`, `tls`, `tcp` is needed",
        ),
        (
            "VirtualService",
            "{hosts: ['*'], tcp: [{route: [{destination: {host: a}}]}]}",
            "spec.hosts[0]: `*` would take all calls of the mesh; name hosts, or `gateways` other than `mesh`",
        ),
        (
            "VirtualService",
            "{hosts: [a], gateways: [A/b/c], tcp: [{route: [{destination: {host: a}}]}]}",
            "spec.gateways[0]: `A/b/c` is not a gateway: write `[NAMESPACE/]NAME`, or `mesh` for all sidecars",
        ),
        (
            "VirtualService",
            "{hosts: [a.b], tls: [{match: [{sniHosts: [c.b]}], route: [{destination: {host: a}}]}]}",
            "spec.tls[0].match[0].sniHosts[0]: `c.b` is none of `spec.hosts`, nor below one of them",
        ),
        (
            "VirtualService",
            "{hosts: [a], tcp: [{match: [{destinationSubnets: [10.0.0.0/33]}], route: [{destination: {host: a}}]}]}",
            "spec.tcp[0].match[0].destinationSubnets[0]: `10.0.0.0/33` is not an IP address or a block of them, as in `10.0.0.0/8`",
        ),
        ("DestinationRule", "{}", "spec.host: missing; it is required"),
        (
            "DestinationRule",
            "{host: a, subsets: [{name: v1}, {name: v1}]}",
            "spec.subsets[1].name: `v1` is the name of subset [0] already",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {simple: round_robin}}}",
            "spec.trafficPolicy.loadBalancer.simple: `round_robin` is none of `UNSPECIFIED`, `LEAST_CONN`, `RANDOM`, `PASSTHROUGH`, `ROUND_ROBIN`, `LEAST_REQUEST`; did you mean `ROUND_ROBIN`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}}",
            "spec.trafficPolicy.loadBalancer.consistentHash: only one of `simple`, `consistentHash` can be there",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}",
            "spec.trafficPolicy.loadBalancer.consistentHash: says nothing to choose by, so that any endpoint is called",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}}",
            "spec.trafficPolicy.outlierDetection.maxEjectionPercent: 101 must lie between 0 and 100",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {tls: {mode: MUTUAL}}}",
            "spec.trafficPolicy.tls.clientCertificate: missing; mode MUTUAL needs certificate and key, or `credentialName`",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {portLevelSettings: [{}]}}",
            "spec.trafficPolicy.portLevelSettings[0].port: missing; it says which port is meant",
        ),
        (
            "DestinationRule",
            "{host: a, exportTo: [B]}",
            "spec.exportTo[0]: `B` is not a namespace, `.` (its own), `*` (all) or `~` (none)",
        ),
        ("Gateway", "{servers: []}", "spec.servers: empty; at least one item is needed"),
        (
            "Gateway",
            "{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a]}]}",
            "spec.servers[0].tls: missing; protocol HTTPS needs it; say at least `mode`",
        ),
        (
            "Gateway",
            "{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a], tls: {mode: SIMPLE}}]}",
            "spec.servers[0].tls: no certificate: this mode serves one; name a secret in `credentialName`, or files in `serverCertificate` and `privateKey`",
        ),
        (
            "Gateway",
            "{servers: [{port: {number: 80, name: a, protocol: HTPP}, hosts: [a]}]}",
            "spec.servers[0].port.protocol: `HTPP` is none of `HTTP`, `HTTPS`, `GRPC`, `GRPC-WEB`, `HTTP2`, `MONGO`, `TCP`, `TLS`, `UDP`, `REDIS`, `MYSQL`; did you mean `HTTP`?",
        ),
        (
            "Gateway",
            "{servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [B/a]}]}",
            "spec.servers[0].hosts[0]: `B` (before the `/`) is not a namespace, `.` or `*`",
        ),
        (
            "ServiceEntry",
            "{hosts: ['*'], ports: []}",
            "spec.hosts[0]: `*` would stand for every host; name hosts, or at least a domain as in `*.example.com`",
        ),
        (
            "ServiceEntry",
            "{hosts: ['*.a.b'], resolution: DNS}",
            "spec.hosts[0]: `*.a.b` cannot be looked up; name endpoints, or use resolution NONE",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: c.d}]}",
            "spec.endpoints[0].address: `c.d` is not an IP address, as resolution STATIC needs; or use resolution DNS",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], endpoints: [{address: 1.2.3.4}], workloadSelector: {}}",
            "spec.workloadSelector: only one of `endpoints`, `workloadSelector` can be there",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], ports: [{number: 80, name: a}, {number: 80, name: b}]}",
            "spec.ports[1].number: 80 is the number of port [0] already",
        ),
        (
            "WorkloadEntry",
            "{address: 1.2.3.4, ports: {http: 0}}",
            "spec.ports.http: 0 is not a port (1 to 65535)",
        ),
        ("WorkloadEntry", "{}", "spec.address: missing; without it nobody can call the workload"),
        (
            "WorkloadEntry",
            "{address: 1.2.3.4, locality: a//b}",
            "spec.locality: `a//b` is not a locality: write `REGION[/ZONE[/SUBZONE]]`",
        ),
        (
            "WorkloadEntry",
            "{address: 'unix://a'}",
            "spec.address: `unix://a`: Unix sockets of other workloads cannot be called; name an IP address, or a host",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: 'unix:///a'}]}",
            "spec.endpoints[0].address: `unix:///a`: Unix sockets of other workloads cannot be called; name an IP address, or a host",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], resolution: NONE, endpoints: [{address: 1.2.3.4}]}",
            "spec.endpoints: cannot stand with resolution NONE, which calls the address that the caller meant; use resolution STATIC or DNS",
        ),
        (
            "ServiceEntry",
            "{hosts: [a.b], resolution: DNS_ROUND_ROBIN, endpoints: [{address: a}, {address: b}]}",
            "spec.endpoints: with resolution DNS_ROUND_ROBIN at most one can be there; use resolution DNS",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {outlierDetection: {interval: 0s}}}",
            "spec.trafficPolicy.outlierDetection.interval: must be at least 1ms; leave it out",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 1}, outlierDetection: {baseEjectionTime: 10us}}]}}",
            "spec.trafficPolicy.portLevelSettings[0].outlierDetection.baseEjectionTime: must be at least 1ms; leave it out",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /a}}}",
            "spec.trafficPolicy.tls.caCertificates: cannot stand with `insecureSkipVerify`, which lets no certificate be looked at",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65536}}}}}",
            "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: 65536 must be a prime number of at most 5000011",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: \"a\\r\\nb\", ttl: 1s}}}}}",
            "consistentHash.httpCookie.name: \"a\\r\\nb\" is not the name of a cookie: a token",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, path: /;b, ttl: 1s}}}}}",
            "consistentHash.httpCookie.path: \"/;b\" has `;` or a character that is no letter of ASCII",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s, attributes: [{name: 'a b'}]}}}}}",
            "consistentHash.httpCookie.attributes[0].name: \"a b\" is not the name of an attribute: a token",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s, attributes: [{name: a, value: \"b\\nc\"}]}}}}}",
            "consistentHash.httpCookie.attributes[0].value: \"b\\nc\" has `;` or a character that is no letter of ASCII",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}}}",
            "consistentHash.ringHash.minimumRingSize: 8388609 must be at most 8388608",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 8388609}}}}",
            "consistentHash.minimumRingSize: 8388609 must be at most 8388608",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 999us}}}}",
            "spec.trafficPolicy.connectionPool.tcp.connectTimeout: must be at least 1ms; leave it out",
        ),
        (
            "Sidecar",
            "{inboundConnectionPool: {tcp: {connectTimeout: 0s}}}",
            "spec.inboundConnectionPool.tcp.connectTimeout: must be at least 1ms; leave it out",
        ),
        (
            "WorkloadGroup",
            "{template: {}, probe: {httpGet: {port: 1}, exec: {command: [a]}}}",
            "spec.probe.exec: only one of `httpGet`, `exec` can be there",
        ),
        (
            "Sidecar",
            "{egress: [{hosts: [a]}]}",
            "spec.egress[0].hosts[0]: `a` does not say of which namespace; write `*/a`, `./a` or `NAMESPACE/a`",
        ),
        (
            "Sidecar",
            "{ingress: [{port: {protocol: HTTP}, defaultEndpoint: '1.2.3.4:80'}]}",
            "spec.ingress[0].port.number: missing; it says which port is meant",
        ),
        (
            "Sidecar",
            "{ingress: [{port: {number: 80, protocol: HTTP}}, {port: {number: 80, protocol: HTTP}}]}",
            "spec.ingress[1].port.number: another listener has port 80 already",
        ),
        (
            "Sidecar",
            "{ingress: [{port: {number: 80, protocol: HTTP}, bind: 'unix:///a'}]}",
            "spec.ingress[0].bind: `unix:///a` is not an IP address",
        ),
        (
            "Sidecar",
            "{egress: [{port: {number: 80, protocol: HTTP}, bind: 127.0.0.1, hosts: ['./*']},
                {port: {number: 80, protocol: TCP}, bind: 127.0.0.2, hosts: ['./*']}]}",
            "spec.egress[1].port: another listener has port 80 already",
        ),
        (
            "Sidecar",
            "{egress: [{port: {number: 0, protocol: HTTP}, bind: 'unix:///a', hosts: ['./*']},
                {port: {protocol: TCP}, bind: 'unix:///a', hosts: ['./*']}]}",
            "spec.egress[1].port: another listener has unix:///a already",
        ),
        (
            "Sidecar",
            "{egress: [{bind: 127.0.0.1, hosts: ['./*']}]}",
            "spec.egress[0].port: missing; a listener with a `bind` has one",
        ),
        (
            "Sidecar",
            "{egress: [{port: {number: 80, protocol: HTTP}, bind: localhost, hosts: ['./*']}]}",
            "spec.egress[0].bind: `localhost` is neither an IP address nor `unix://PATH`",
        ),
    ] {
        let told = said(&object(api, kind, spec));
        // Long paths are told by their ends.
        let expected = match expected.starts_with("spec") {
            true => format!("{kind} default/a: {expected}"),
            false => expected.to_owned(),
        };
        assert!(told.iter().any(|it| it.ends_with(&expected)), "{spec}: {told:#?}");
    }
}

#[test]
fn statistics_of_outliers_need_a_section_to_add_to_and_known_words() {
    let rule = |annotation: &str, policy: &str| {
        said(&format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: a, annotations: {{meltemi.io/outlier-detection: '{annotation}'}}}}\n\
             spec: {{host: a, {policy}}}\n"
        ))
    };
    let good = r#"{"failurePercentageThreshold": 50}"#;
    let port = "trafficPolicy: {portLevelSettings: [{port: {number: 80}, outlierDetection: {}}]}";
    let subset = "subsets: [{name: v1, trafficPolicy: {outlierDetection: {}}}]";
    for policy in ["trafficPolicy: {outlierDetection: {}}", port, subset] {
        assert_eq!(rule(good, policy), [""; 0], "{policy}");
        let said = rule(r#"{"enforcingFailurePercentage": 100}"#, policy);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("metadata.annotations[meltemi.io/outlier-detection]: unknown field")
                && said[0].contains("expected one of `successRateMinimumHosts`"),
            "{said:?}"
        );
    }
    let said = rule(good, "trafficPolicy: {}");
    assert_eq!(
        said,
        [
            "x:3:65: DestinationRule default/a: metadata.annotations[meltemi.io/outlier-detection]: no trafficPolicy of the rule has `outlierDetection`, to which it adds; write `outlierDetection: {}`"
        ]
    );
}

/// A destination rule with this policy, and what is said of it, with the field at which.
fn of_policy(policy: &str) -> Vec<String> {
    let spec = format!("{{host: a, trafficPolicy: {policy}}}");
    let told = said(&object("networking.istio.io/v1", "DestinationRule", &spec));
    let at = "DestinationRule default/a: spec.trafficPolicy.";
    told.iter().map(|it| it.split_once(at).unwrap_or_default().1.to_owned()).collect()
}

#[test]
fn files_beside_a_secret_are_refused() {
    for mode in ["SIMPLE", "MUTUAL"] {
        for field in ["caCrl", "caCertificates", "clientCertificate", "privateKey"] {
            let tls = |file: &str| of_policy(&format!("{{tls: {{mode: {mode}, {file}}}}}"));
            let told = tls(&format!("credentialName: b, {field}: /c"));
            let expected = format!("tls.{field}: cannot stand with `credentialName`");
            assert!(told.iter().any(|it| it.starts_with(&expected)), "{told:#?}");
            let told = tls("credentialName: b");
            assert!(told.iter().all(|it| !it.contains("cannot stand")), "{told:#?}");
        }
    }
    let files = "{tls: {mode: MUTUAL, clientCertificate: /a, privateKey: /b, caCertificates: /c, caCrl: /d}}";
    assert_eq!(of_policy(files), [""; 0]);
}

#[test]
fn callers_places_do_not_overlap() {
    for (places, expected) in [
        (["r/z/*", "r/z/s"], true),
        (["r/*", "r/z/*"], true),
        (["*", "r"], true),
        (["r", "r/z"], true),
        (["r/z", "r"], true),
        (["r/z", "r/z"], true),
        // The narrower stands before the wider and counts where both match.
        (["r/z/s", "r/z/*"], false),
        (["r/z/*", "r/*"], false),
        (["r", "*"], false),
        (["r/z/*", "r/y/*"], false),
        (["r/z", "rr/z"], false),
    ] {
        let shares = places.map(|from| format!("{{from: '{from}', to: {{'{from}': 100}}}}"));
        let policy = format!(
            "{{loadBalancer: {{localityLbSetting: {{distribute: [{}]}}}}}}",
            shares.join(", ")
        );
        let told = of_policy(&policy);
        let [first, second] = places;
        let message = format!(
            "loadBalancer.localityLbSetting.distribute[1].from: `{second}` overlaps with `{first}` of [0]"
        );
        let expected = if expected { vec![message] } else { Vec::new() };
        assert_eq!(told, expected, "{places:?}");
    }
}
