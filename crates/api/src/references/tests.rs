use crate::parse::{Options, Source, parse};
use crate::references::{dangling, references};

fn objects(text: &str) -> Vec<crate::Parsed> {
    let source = Source { file: "x.yaml".to_owned(), text: text.to_owned() };
    parse(&[source], &Options::default()).unwrap().objects
}

const RULES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  gateways: [mesh, edge, infra/main]
  http:
  - route:
    - destination: {host: reviews, subset: v1}
    - destination: {host: ratings.shop.svc.cluster.local}
      weight: 1
    mirror: {host: api.example.com}
  - match: [{uri: {prefix: /a}}]
    delegate: {name: inner}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: web}
spec:
  parentRefs: [{name: edge, namespace: infra}, {kind: Service, group: '', name: catalog, port: 80}]
  rules:
  - backendRefs: [{name: catalog, port: 80}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ['*']
    tls: {mode: SIMPLE, credentialName: cert}
";

#[test]
fn what_is_pointed_to_is_found_with_its_place() {
    let all: Vec<_> = objects(RULES)
        .iter()
        .flat_map(|it| references(&it.resource))
        .map(|it| format!("{}: {}", it.path, it.target))
        .collect();
    assert_eq!(
        all,
        [
            "spec.gateways[1]: Gateway `edge` in namespace `default`",
            "spec.gateways[2]: Gateway `main` in namespace `infra`",
            "spec.http[0].route[0].destination.subset: destination rule with subset `v1` of `reviews`",
            "spec.http[0].route[0].destination.host: service `reviews` in namespace `default`",
            "spec.http[0].route[1].destination.host: service or service entry for host `ratings.shop.svc.cluster.local`",
            "spec.http[0].mirror.host: service or service entry for host `api.example.com`",
            "spec.http[1].delegate.name: VirtualService `inner` in namespace `default`",
            "spec.parentRefs[0].name: Gateway `edge` in namespace `infra`",
            "spec.parentRefs[1].name: Service `catalog` in namespace `web`",
            "spec.rules[0].filters[0].requestMirror.backendRef.name: Service `copy` in namespace `web`",
            "spec.rules[0].filters[0].requestMirror.backendRef.port: port 80 of `copy`",
            "spec.rules[0].backendRefs[0].name: Service `catalog` in namespace `web`",
            "spec.rules[0].backendRefs[0].port: port 80 of `catalog`",
            "spec.servers[0].tls.credentialName: Secret `cert`",
        ]
    );
}

#[test]
fn what_is_nowhere_is_warned_of() {
    let there = "\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: example}
spec: {hosts: ['*.example.com'], ports: [{number: 443, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews.default.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: istio-system}
";
    let stored = objects(there);
    let applied = objects(RULES);
    let known =
        |it: &super::Reference| stored.iter().any(|object| it.target.is_met_by(&object.resource));
    let findings: Vec<_> =
        dangling(&applied, known).iter().map(|finding| finding.to_string()).collect();
    assert_eq!(
        findings,
        [
            "x.yaml:6:26: warning: VirtualService default/reviews: spec.gateways[2]: there is no Gateway `main` in namespace `infra`",
            "x.yaml:14:22: warning: VirtualService default/reviews: spec.http[1].delegate.name: there is no VirtualService `inner` in namespace `default`",
            "x.yaml:20:23: warning: HTTPRoute web/r: spec.parentRefs[0].name: there is no Gateway `edge` in namespace `infra`",
            "x.yaml:20:81: warning: HTTPRoute web/r: spec.parentRefs[1].name: there is no Service `catalog` in namespace `web`",
            "x.yaml:22:26: warning: HTTPRoute web/r: spec.rules[0].backendRefs[0].name: there is no Service `catalog` in namespace `web`",
            "x.yaml:23:72: warning: HTTPRoute web/r: spec.rules[0].filters[0].requestMirror.backendRef.name: there is no Service `copy` in namespace `web`",
        ]
    );
    assert_eq!(dangling(&applied, |_| true), []);
}

#[test]
fn secrets_of_a_rule_lie_in_its_own_namespace_if_it_is_for_workloads() {
    let rule = |selector: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: partner, namespace: shop}}
spec:
  host: partner.example.com
  {selector}
  trafficPolicy: {{tls: {{mode: SIMPLE, credentialName: one}}}}
  subsets:
  - name: v1
    trafficPolicy:
      portLevelSettings:
      - {{port: {{number: 443}}, tls: {{mode: SIMPLE, credentialName: two}}}}
"
        );
        let secrets = dangling(&objects(&text), |it| !it.target.to_string().contains("Secret"));
        secrets.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>()
    };
    let in_shop = |name| format!("there is no Secret `{name}` in namespace `shop`");
    assert_eq!(rule("workloadSelector: {matchLabels: {app: web}}"), ["one", "two"].map(in_shop));
    assert_eq!(rule(""), [""; 0]);
}

#[test]
fn subsets_are_found_whatever_stands_for_the_host() {
    for (host, called, is_there) in [
        ("reviews", "reviews", true),
        ("*.local", "reviews", true),
        ("*.local", "reviews.default.svc.cluster.local", true),
        ("*.cluster.local", "reviews", true),
        ("*.svc.cluster.local", "reviews", true),
        ("*.svc.mesh.example", "reviews", true),
        ("*.default.svc.cluster.local", "reviews", true),
        ("*.default.svc.mesh.example", "reviews", true),
        ("*.other.svc.cluster.local", "reviews", false),
        ("*.example.com", "reviews", false),
        ("*.example.com", "api.example.com", true),
        ("ratings", "reviews", false),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: all}}
spec: {{host: '{host}', subsets: [{{name: a}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: one}}
spec:
  hosts: [{called}]
  http: [{{route: [{{destination: {{host: {called}, subset: a}}}}]}}]
"
        );
        let findings = dangling(&objects(&text), |it| !it.target.to_string().contains("subset"));
        assert_eq!(findings.is_empty(), is_there, "{host} for {called}: {findings:#?}");
    }
}
