//! Wrong input is refused, each problem with its place.

use meltemi_api::parse::{Options, Source, TEXT_LIMIT, parse, value};
use meltemi_api::{Finding, Resource};
use proptest::prelude::*;
use serde_json::json;

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

/// What is said of a text, a line each.
fn said(text: &str) -> Vec<String> {
    match parse(&[source("x", text)], &Options::default()) {
        Ok(accepted) => accepted.warnings.iter().map(Finding::to_string).collect(),
        Err(findings) => findings.iter().map(Finding::to_string).collect(),
    }
}

/// A virtual service with this as its `http`.
fn route(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [a]\n  http:\n  - {http}\n"
    )
}

/// An object of Istio's with this spec.
fn object(api: &str, kind: &str, spec: &str) -> String {
    format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n")
}

#[test]
fn every_problem_of_every_document_is_told_with_its_place() {
    let text = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - rout:
    - destination:
        host: reviews
  - route:
    - destination: {host: bad_host!, port: {number: 70000}}
      weigth: 5
    timeout: soon
---
apiVersion: networking.istio.io/v1
kind: DestinationRul
metadata: {name: x}
---
apiVersion: v1
kind: Service
metadata: {name: Hello, labels: {a b: c}}
spec:
  type: clusterip
  ports:
  - port: \"80\"
  - {name: http, port: 81}
  - {name: http, port: 82}
";
    assert_eq!(
        said(text),
        [
            "x:9:5: VirtualService default/reviews: spec.http[0].rout: unknown field; did you mean `route`?",
            "x:13:27: VirtualService default/reviews: spec.http[1].route[0].destination.host: `bad_host!` is not a host name: labels of letters, digits, `-` and `_` (at most 63 each, 253 in all) parted by dots, an optional leading `*.`",
            "x:13:53: VirtualService default/reviews: spec.http[1].route[0].destination.port.number: 70000 is not a port (1 to 65535)",
            "x:14:7: VirtualService default/reviews: spec.http[1].route[0].weigth: unknown field; did you mean `weight`?",
            "x:15:14: VirtualService default/reviews: spec.http[1].timeout: `soon` is not a duration: write it as `1.5s`, `200ms` or `1h30m`",
            "x:18:7: DestinationRul x: kind: unknown kind `DestinationRul` of `networking.istio.io/v1`; did you mean `DestinationRule`?",
            "x:23:18: Service default/Hello: metadata.name: `Hello` is not the name of a host's part: at most 63 lower-case letters, digits and `-`, no `-` at either end",
            "x:23:34: Service default/Hello: metadata.labels[a b]: `a b` is not a name for a label or annotation: `[DOMAIN/]NAME`, the name at most 63 letters, digits, `-`, `_` and `.`",
            "x:25:9: Service default/Hello: spec.type: `clusterip` is none of `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`; did you mean `ClusterIP`?",
            "x:27:11: Service default/Hello: spec.ports[0].port: must be a whole number, not the text \"80\"; write it without quotes: 80",
        ]
    );
}

#[test]
fn objects_that_are_none_are_told() {
    for (text, expected) in [
        (
            "a: 1",
            vec![
                "x:1:1: apiVersion: missing; it says what the object is",
                "x:1:1: kind: missing; it says what the object is",
            ],
        ),
        (
            "just text",
            vec!["x:1:1: not an object; a resource has `apiVersion`, `kind` and `metadata`"],
        ),
        (
            "apiVersion: 1\nkind: [a]",
            vec!["x:1:13: apiVersion: must be text", "x:2:7: kind: must be text"],
        ),
        (
            "apiVersion: networking.istio.io/v9\nkind: Sidecar",
            vec![
                "x:1:13: Sidecar: apiVersion: unknown version `v9` of Sidecar; known: networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3",
            ],
        ),
        (
            "apiVersion: v1\nkind: Gateway",
            vec![
                "x:1:13: Gateway: apiVersion: there is no Gateway in `v1`; did you mean `networking.istio.io/v1` or `gateway.networking.k8s.io/v1`?",
            ],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment",
            vec![
                "x:2:7: Deployment: kind: unknown kind `Deployment` of `apps/v1`; `meltemi api-resources` lists the kinds",
            ],
        ),
        (
            "apiVersion: v1\nkind: Service",
            vec!["x:1:1: Service: metadata: missing; it is required"],
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {}",
            vec!["x:1:1: DestinationRule: spec: missing; it is required"],
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn texts_that_are_no_yaml_are_told() {
    for (text, line, part) in [
        ("a: [1, 2", 2, "is not YAML"),
        ("a: 1\na: 2\n", 2, "`a` stands here twice, first in line 1"),
        ("a: 1\nb: {c: 1, c: 2}\n", 2, "`c` stands here twice"),
        ("a: &x [*x]", 1, "an alias of something that holds it"),
        ("a: *nowhere", 1, "is not YAML"),
        ("a: .nan", 1, "a number that JSON does not have"),
        ("? {a: b}\n: c", 1, "cannot be a key"),
        ("a: !!binary aGk=", 1, "base64"),
        ("\t- a", 1, "is not YAML"),
        ("{\"a\": 1,}}", 1, "is not YAML"),
        ("<<: 7", 1, "`<<` takes an object"),
    ] {
        let findings = parse(&[source("x", text)], &Options::default()).unwrap_err();
        let told = findings[0].to_string();
        assert!(told.contains(part), "{text}: {told}");
        assert_eq!((findings.len(), findings[0].line), (1, line), "{text}: {told}");
    }
    assert_eq!(value("a: 1\n---\nb: 2\n").unwrap_err()[0].line, 3);
    assert_eq!(value("# nothing"), Ok(json!(null)));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
    }
    let deep = "- ".repeat(10_000);
    let brackets = "[".repeat(100_000);
    let nested = (0..90).map(|level| format!("&b{level} [")).collect::<String>()
        + &"x,".repeat(100_000)
        + &"]".repeat(90);
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a,".repeat(1000));
    let big = "#".repeat(TEXT_LIMIT + 1);
    for (text, part) in [
        (laughs, "too many values"),
        (deep, "nested deeper"),
        (brackets, "recursion limit"),
        (nested, "too many values"),
        (long, "too many values"),
        (big, "at most"),
    ] {
        let findings = parse(&[source("x", &text)], &Options::default()).unwrap_err();
        assert!(findings[0].message.contains(part), "{}", findings[0]);
    }
}

#[test]
fn an_object_that_stands_twice_is_refused_with_both_places() {
    let object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let again = "---\n".to_owned() + object;
    let sources = [source("a.yaml", object), source("b.yaml", &again)];
    let findings = parse(&sources, &Options::default()).unwrap_err();
    assert_eq!(
        findings.iter().map(Finding::to_string).collect::<Vec<_>>(),
        ["b.yaml:2:1: Namespace shop: stands in a.yaml:1 already; one of the two must go"]
    );
    let elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: b}\n";
    assert_eq!(said(elsewhere), Vec::<String>::new());
}

#[test]
fn virtual_services() {
    for (http, expected) in [
        (
            "{}",
            "spec.http[0]: does nothing: one of `route`, `redirect`, `directResponse`, `delegate` is needed",
        ),
        (
            "route: []",
            "spec.http[0]: does nothing: one of `route`, `redirect`, `directResponse`, `delegate` is needed",
        ),
        (
            "{route: [{destination: {host: a}}], redirect: {uri: /}}",
            "spec.http[0].redirect: only one of `route`, `redirect` can be there",
        ),
        (
            "{redirect: {uri: /b}, rewrite: {uri: /}}",
            "spec.http[0].rewrite: has a meaning with `route` alone: nobody is called here",
        ),
        (
            "{redirect: {}}",
            "spec.http[0].redirect: leads to where it came from: say `uri`, `authority`, `scheme` or `port`",
        ),
        (
            "{redirect: {port: 1, derivePort: FROM_REQUEST_PORT}}",
            "spec.http[0].redirect.derivePort: only one of `port`, `derivePort` can be there",
        ),
        (
            "route: [{destination: {host: \"*.a\"}}]",
            "spec.http[0].route[0].destination.host: `*.a`: a wildcard cannot stand here",
        ),
        (
            "route: [{destination: {}}]",
            "spec.http[0].route[0].destination.host: missing; it is required",
        ),
        (
            "route: [{destination: {host: a, port: {}}}]",
            "spec.http[0].route[0].destination.port.number: missing; it says which port is meant",
        ),
        (
            "route: [{destination: {host: a}}, {destination: {host: b}}]",
            "spec.http[0].route: no destination has a `weight`, so that nobody is called; give each a share, together 100",
        ),
        (
            "route: [{destination: {host: a}, weight: -1}]",
            "spec.http[0].route[0].weight: -1 must not be less than 0",
        ),
        (
            "route: [{destination: {host: a}, weight: 1.5}]",
            "spec.http[0].route[0].weight: must be a whole number, not the number 1.5",
        ),
        (
            "{match: [{uri: {exact: /, prefix: /}}], route: [{destination: {host: a}}]}",
            "spec.http[0].match[0].uri.prefix: only one of `exact`, `prefix` can be there",
        ),
        (
            "{match: [{uri: {regex: '('}}], route: [{destination: {host: a}}]}",
            "spec.http[0].match[0].uri.regex: `(` is not a regular expression: unclosed group",
        ),
        (
            "{match: [{uri: {}}], route: [{destination: {host: a}}]}",
            "spec.http[0].match[0].uri: empty; one of `exact`, `prefix`, `regex` is needed",
        ),
        (
            "{match: {uri: {exact: /}}, route: [{destination: {host: a}}]}",
            "spec.http[0].match: must be a list, not an object; start each item with `- `",
        ),
        (
            "{match: [{headers: {x y: {}}}], route: [{destination: {host: a}}]}",
            "spec.http[0].match[0].headers[x y]: `x y` is not the name of a header",
        ),
        (
            "{fault: {}, route: [{destination: {host: a}}]}",
            "spec.http[0].fault: empty; at least one of `delay`, `abort` is needed",
        ),
        (
            "{fault: {abort: {httpStatus: 600}}, route: [{destination: {host: a}}]}",
            "spec.http[0].fault.abort.httpStatus: 600 must lie between 200 and 599",
        ),
        (
            "{fault: {abort: {grpcStatus: UNAVAILBLE}}, route: [{destination: {host: a}}]}",
            "spec.http[0].fault.abort.grpcStatus: `UNAVAILBLE` is not a status of gRPC; did you mean `UNAVAILABLE`?",
        ),
        (
            "{fault: {delay: {percentage: {value: 101}, fixedDelay: 1s}}, route: [{destination: {host: a}}]}",
            "spec.http[0].fault.delay.percentage.value: 101 must lie between 0 and 100",
        ),
        (
            "{retries: {retryOn: conect-failure}, route: [{destination: {host: a}}]}",
            "spec.http[0].retries.retryOn: `conect-failure` is not a condition for another attempt; did you mean `connect-failure`?",
        ),
        (
            "{timeout: 10, route: [{destination: {host: a}}]}",
            "spec.http[0].timeout: must be text, not the number 10; put it in quotes",
        ),
        (
            "{mirror: {host: a}, mirrors: [{destination: {host: b}}], route: [{destination: {host: a}}]}",
            "spec.http[0].mirrors: only one of `mirror`, `mirrors` can be there",
        ),
        (
            "{headers: {request: {remove: [a:b]}}, route: [{destination: {host: a}}]}",
            "spec.http[0].headers.request.remove[0]: `a:b` is not the name of a header",
        ),
        (
            "{directResponse: {status: 99}}",
            "spec.http[0].directResponse.status: 99 must lie between 100 and 599",
        ),
    ] {
        let told = said(&route(http));
        assert!(
            told.iter().any(|it| it.ends_with(&format!("VirtualService default/a: {expected}"))),
            "{http}: {told:#?}"
        );
    }
}

#[test]
fn warnings_do_not_refuse() {
    for (http, expected) in [
        (
            "{route: [{destination: {host: a}, weight: 50}, {destination: {host: b}, weight: 45}]}",
            "x:7:13: warning: VirtualService default/a: spec.http[0].route: the weights add up to 95, not 100; each counts in relation to that",
        ),
        (
            "{route: [{destination: {host: a}}]}\n  - {match: [{uri: {prefix: /b}}], route: [{destination: {host: b}}]}",
            "x:8:5: warning: VirtualService default/a: spec.http[1]: never counts: [0] before it takes every request; move [0] to the end",
        ),
    ] {
        let text = route(http);
        let accepted = parse(&[source("x", &text)], &Options::default()).unwrap();
        let told: Vec<_> = accepted.warnings.iter().map(Finding::to_string).collect();
        assert_eq!(told, [expected]);
    }
}

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
            "spec.trafficPolicy.loadBalancer.consistentHash: one of `httpHeaderName`, `httpCookie`, `useSourceIp`, `httpQueryParameterName` is needed",
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
            "spec.address: `unix://a`: a socket is an absolute path, or `@NAME`",
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
    ] {
        let told = said(&object(api, kind, spec));
        let expected = format!("{kind} default/a: {expected}");
        assert!(told.iter().any(|it| it.ends_with(&expected)), "{spec}: {told:#?}");
    }
}

#[test]
fn security_and_telemetry_kinds() {
    for (kind, spec, expected) in [
        (
            "PeerAuthentication",
            "{mtls: {mode: strict}}",
            "spec.mtls.mode: `strict` is none of `UNSET`, `DISABLE`, `PERMISSIVE`, `STRICT`; did you mean `STRICT`?",
        ),
        (
            "PeerAuthentication",
            "{portLevelMtls: {80: {mode: STRICT}}}",
            "spec.portLevelMtls: needs a `selector`: ports differ from workload to workload",
        ),
        (
            "PeerAuthentication",
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {}}}",
            "spec.portLevelMtls.http: `http` is not a port (1 to 65535)",
        ),
        (
            "AuthorizationPolicy",
            "{action: CUSTOM}",
            "spec.provider.name: missing; action CUSTOM has an authorizer outside decide",
        ),
        (
            "AuthorizationPolicy",
            "{provider: {name: a}}",
            "spec.provider: has a meaning with action CUSTOM alone",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {}}]}]}",
            "spec.rules[0].from[0].source: missing; a source says at least one thing of a caller",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{to: [{}]}]}",
            "spec.rules[0].to[0].operation: missing; `to` without an operation matches nothing",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {ipBlocks: [300.0.0.1]}}]}]}",
            "spec.rules[0].from[0].source.ipBlocks[0]: `300.0.0.1` is not an IP address or a block of them, as in `10.0.0.0/8`",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {principal: [a]}}]}]}",
            "spec.rules[0].from[0].source.principal: unknown field; did you mean `principals`?",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {principals: [a], serviceAccounts: [b]}}]}]}",
            "spec.rules[0].from[0].source.principals: cannot stand beside `serviceAccounts`, which say the same",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{to: [{operation: {ports: [http]}}]}]}",
            "spec.rules[0].to[0].operation.ports[0]: `http` is not a port (1 to 65535)",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{to: [{operation: {ports: [80]}}]}]}",
            "spec.rules[0].to[0].operation.ports[0]: must be text, not the number 80; put it in quotes",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{to: [{operation: {paths: ['/{**}/a']}}]}]}",
            "spec.rules[0].to[0].operation.paths[0]: `/{**}/a`: nothing can follow `{**}`",
        ),
        (
            "AuthorizationPolicy",
            "{rules: [{when: [{key: source.ipp, values: [a]}]}]}",
            "`request.headers[NAME]`, `request.auth.claims[NAME]`, `source.ip`, `remote.ip`, `source.namespace`, `source.principal`, `source.serviceAccount`, `request.auth.principal`, `request.auth.audiences`, `request.auth.presenter`, `destination.ip`, `destination.port`, `connection.sni`; did you mean `source.ip`?",
        ),
        (
            "AuthorizationPolicy",
            "{selector: {}, targetRefs: [{kind: Gateway, name: a}]}",
            "spec.targetRefs: only one of `selector`, `targetRefs` can be there",
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{}]}",
            "spec.jwtRules[0].issuer: missing; it is required",
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwksUri: 'ftp://a'}]}",
            "spec.jwtRules[0].jwksUri: `ftp://a` is not an address: it begins with `https://` or `http://`",
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwks: '{}'}]}",
            "spec.jwtRules[0].jwks: is not a JSON Web Key Set: `{\"keys\": [...]}`",
        ),
    ] {
        let told = said(&object("security.istio.io/v1", kind, spec));
        assert!(told.iter().any(|it| it.ends_with(expected)), "{spec}: {told:#?}");
    }
    for (spec, expected) in [
        (
            "{tracing: [{randomSamplingPercentage: 101}]}",
            "spec.tracing[0].randomSamplingPercentage: 101 must lie between 0 and 100",
        ),
        (
            "{tracing: [{customTags: {a: {}}}]}",
            "spec.tracing[0].customTags.a: one of `literal`, `environment`, `header`, `formatter` is needed",
        ),
        (
            "{metrics: [{overrides: [{match: {metric: REQUEST_COUNTS}}]}]}",
            "did you mean `REQUEST_COUNT`?",
        ),
        (
            "{accessLogging: [{providers: [{}]}]}",
            "spec.accessLogging[0].providers[0].name: missing; it is required",
        ),
    ] {
        let told = said(&object("telemetry.istio.io/v1", "Telemetry", spec));
        assert!(told.iter().any(|it| it.ends_with(expected)), "{spec}: {told:#?}");
    }
}

#[test]
fn gateway_api_kinds() {
    for (kind, spec, expected) in [
        (
            "GatewayClass",
            "{controllerName: a}",
            "spec.controllerName: `a` is not a controller: write `DOMAIN/PATH`",
        ),
        (
            "Gateway",
            "{gatewayClassName: a, listeners: [{name: a, port: 443, protocol: HTTPS}]}",
            "spec.listeners[0].tls: missing; protocol HTTPS needs it",
        ),
        (
            "Gateway",
            "{gatewayClassName: a, listeners: [{name: a, port: 80, protocol: http}]}",
            "spec.listeners[0].protocol: `http` is none of `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`, nor `DOMAIN/NAME`; did you mean `HTTP`?",
        ),
        (
            "Gateway",
            "{gatewayClassName: a, listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]}",
            "spec.listeners[1].name: `a` is the name of listener [0] already",
        ),
        (
            "HTTPRoute",
            "{hostnames: [1.2.3.4]}",
            "spec.hostnames[0]: `1.2.3.4` is not a host's name here: lower-case DNS labels, an optional leading `*.`, no IP address",
        ),
        (
            "HTTPRoute",
            "{rules: [{backendRefs: [{name: a}]}]}",
            "spec.rules[0].backendRefs[0].port: missing; a backend that is a service needs it",
        ),
        (
            "HTTPRoute",
            "{rules: [{backendRefs: [{name: a, port: 80, weigth: 1}]}]}",
            "spec.rules[0].backendRefs[0].weigth: unknown field; did you mean `weight`?",
        ),
        (
            "HTTPRoute",
            "{rules: [{matches: [{path: {value: a}}]}]}",
            "spec.rules[0].matches[0].path.value: `a` must begin with `/`",
        ),
        ("HTTPRoute", "{rules: [{matches: [{method: get}]}]}", "did you mean `GET`?"),
        (
            "HTTPRoute",
            "{rules: [{filters: [{type: URLRewrite}]}]}",
            "spec.rules[0].filters[0].urlRewrite: missing; the filter's type needs it",
        ),
        (
            "HTTPRoute",
            "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]}]}",
            "spec.rules[0].filters[0].requestRedirect.statusCode: 200 is none of 301, 302, 303, 307, 308",
        ),
        (
            "HTTPRoute",
            "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}",
            "spec.rules[0].timeouts.backendRequest: is longer than `request`, which holds it",
        ),
        (
            "HTTPRoute",
            "{rules: [{timeouts: {request: 1.5s}}]}",
            "spec.rules[0].timeouts.request: `1.5s` is not a duration: whole numbers with `h`, `m`, `s` or `ms`, as in `1m30s` or `500ms`",
        ),
        (
            "HTTPRoute",
            "{rules: [{retry: {codes: [200]}}]}",
            "spec.rules[0].retry.codes[0]: 200 must lie between 400 and 599",
        ),
        (
            "GRPCRoute",
            "{rules: [{matches: [{method: {}}]}]}",
            "spec.rules[0].matches[0].method: at least one of `service`, `method` is needed",
        ),
        ("TLSRoute", "{rules: []}", "spec.rules: empty; at least one item is needed"),
    ] {
        let told = said(&object("gateway.networking.k8s.io/v1", kind, spec));
        assert!(told.iter().any(|it| it.ends_with(expected)), "{spec}: {told:#?}");
    }
}

#[test]
fn core_kinds() {
    for (text, expected) in [
        (
            "kind: Secret\nmetadata: {name: a}\ndata: {a: plain text}",
            "data.a: is not base64; plain text goes into `stringData`",
        ),
        (
            "kind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\ndata: {tls.crt: ''}",
            "data[tls.key]: missing; a secret of type kubernetes.io/tls has it",
        ),
        (
            "kind: ConfigMap\nmetadata: {name: a}\ndata: {a/b: c}",
            "data[a/b]: `a/b` is not a name here: letters, digits, `-`, `_` and `.`",
        ),
        (
            "kind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}",
            "data.a: must be text, not the number 1; put it in quotes",
        ),
        (
            "kind: Namespace\nmetadata: {name: a.b}",
            "metadata.name: `a.b` is not the name of a host's part: at most 63 lower-case letters, digits and `-`, no `-` at either end",
        ),
        (
            "kind: Namespace\nmetadata: {name: a, namespace: b}",
            "metadata.namespace: Namespace does not live in a namespace; remove the field",
        ),
        ("kind: Service\nmetadata: {}", "metadata.name: missing; every object needs a name"),
        (
            "kind: Service\nmetadata: {name: a}\nspec: {type: ExternalName}",
            "spec.externalName: missing; a service of type ExternalName names a host",
        ),
        (
            "kind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}, {port: 2}]}",
            "spec.ports[0].name: missing; each of several ports needs a name",
        ),
        (
            "kind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1, targetPort: '8080'}]}",
            "spec.ports[0].targetPort: `8080` is not a port's name: at most 15 lower-case letters, digits and `-`, with a letter in it; a number stands without quotes",
        ),
        (
            "kind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1, targetPort: 70000}]}",
            "spec.ports[0].targetPort: 70000 is not a port (1 to 65535)",
        ),
        (
            "kind: Service\nmetadata: {name: a}\nspec: {selector: {app: 'a b'}}",
            "spec.selector.app: `a b` is not a label's value: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
        ),
        (
            "kind: Service\nmetadata: {name: a, lables: {}}",
            "metadata.lables: unknown field; did you mean `labels`?",
        ),
        (
            "kind: ServiceAccount\nmetadata: {name: a, labels: {v: 1.10}}",
            "metadata.labels.v: must be text, not the number 1.1; put it in quotes",
        ),
    ] {
        let told = said(&format!("apiVersion: v1\n{text}\n"));
        assert!(told.iter().any(|it| it.ends_with(expected)), "{text}: {told:#?}");
    }
}

#[test]
fn a_value_is_refused_without_places() {
    let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}});
    let findings = Resource::from_value(value).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "Service a: spec.ports[0].port: 70000 is not a port (1 to 65535)"
    );
    assert_eq!(findings[0].reason(), "70000 is not a port (1 to 65535)");
    assert_eq!((findings[0].line, findings[0].path.as_str()), (0, "spec.ports[0].port"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), "[-\\[\\]{}:&*!|>'\"%@#? \n\ta1]{0,60}"]) {
        let _ = parse(&[source("x", &text)], &Options::default());
    }

    #[test]
    fn no_change_of_a_rule_makes_the_checks_panic(at in 0..1000_usize, with in "[-\\[\\]{}:&*!|>'\", \n\ta1]{0,3}") {
        let mut text = include_str!("corpus/bookinfo/virtual-services.yaml").to_owned();
        let at = at * text.len() / 1000;
        if text.is_char_boundary(at) {
            text.replace_range(at..(at + 1).min(text.len()), &with);
        }
        if let Err(findings) = parse(&[source("x", &text)], &Options::default()) {
            prop_assert!(findings.iter().any(Finding::is_error));
        }
    }
}
