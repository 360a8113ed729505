use serde_json::{Value, json};

use crate::read::tests::read_yaml;
use crate::record::{Object, ObjectKind, Record};
use crate::routes::{Parent, ParentOf, Rank, ReferenceGrantRecord, RouteRecord};

fn read(kind: ObjectKind, spec: &str) -> RouteRecord {
    let yaml = format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {}, metadata: {{name: it, namespace: shop}}, spec: {spec}}}",
        kind.as_str()
    );
    match read_yaml(kind, &yaml) {
        Ok(Record::Route(record)) => record,
        other => panic!("{spec}: {other:?}"),
    }
}

const PARENT: &str = "parentRefs: [{group: '', kind: Service, name: hello}]";
const TO: &str = "backendRefs: [{name: hello, port: 80}]";

/// The record of a route with one rule.
fn rule(kind: ObjectKind, fields: &str) -> RouteRecord {
    read(kind, &format!("{{{PARENT}, rules: [{{{fields}}}]}}"))
}

/// The only rule of a route.
fn one(kind: ObjectKind, fields: &str) -> Value {
    let record = rule(kind, fields);
    assert_eq!(record.rules.len(), 1, "{fields}");
    serde_json::to_value(&record.rules[0].rule).unwrap()
}

fn http(fields: &str) -> Value {
    one(ObjectKind::HttpRoute, fields)
}

#[test]
fn parents_of_the_mesh_are_services_and_service_entries() {
    let record = read(
        ObjectKind::HttpRoute,
        "{parentRefs: [
            {group: '', kind: Service, name: hello},
            {group: '', kind: Service, name: hello, namespace: far, port: 8080},
            {group: networking.istio.io, kind: ServiceEntry, name: out},
            {name: edge}, {kind: Service, name: not-of-the-core-group}],
          rules: [{backendRefs: [{name: hello, port: 80}]}]}",
    );
    let parent = |of, namespace: &str, port| Parent { of, namespace: namespace.into(), port };
    let host = |host: &str| ParentOf::Host(host.parse().unwrap());
    let entry = ParentOf::Entry(Object::new(ObjectKind::ServiceEntry, "shop", "out"));
    let expected = [
        parent(host("hello.shop.svc.cluster.local"), "shop", None),
        parent(host("hello.far.svc.cluster.local"), "far", Some(8080)),
        parent(entry, "shop", None),
    ];
    assert_eq!(record.parents, expected);
    let record = read(
        ObjectKind::HttpRoute,
        "{parentRefs: [{name: edge}], rules: [{filters: [
        {type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}]}]}",
    );
    assert_eq!((record.rules.len(), record.flaws), (0, vec![]), "it is another's");
}

#[test]
fn a_rule_becomes_one_for_each_of_its_matches() {
    let record = rule(
        ObjectKind::HttpRoute,
        &format!(
            "name: r, {TO}, matches: [
              {{path: {{type: Exact, value: /a}}, method: GET}},
              {{headers: [{{name: X-A, value: '1'}}, {{name: x-b, type: RegularExpression, value: b+}}],
                queryParams: [{{name: q, value: '1'}}]}},
              {{path: {{type: RegularExpression, value: '/[0-9]+'}}}},
              {{path: {{value: /b/}}}}]"
        ),
    );
    let found: Vec<(Rank, Value)> = record
        .rules
        .iter()
        .map(|it| (it.rank, serde_json::to_value(&it.rule.matches).unwrap()))
        .collect();
    let expected = [
        ([3, 2, 1, 0, 0], json!([{"uri": {"exact": "/a"}, "method": {"exact": "GET"}}])),
        (
            [0, 0, 0, 2, 1],
            json!([{
                "uri": {"pathPrefix": "/"},
                "headers": {"x-a": {"exact": "1"}, "x-b": {"regex": "b+"}},
                "queryParams": {"q": {"exact": "1"}},
            }]),
        ),
        ([1, 7, 0, 0, 0], json!([{"uri": {"regex": "/[0-9]+"}}])),
        ([2, 2, 0, 0, 0], json!([{"uri": {"pathPrefix": "/b/"}}])),
    ];
    assert_eq!(found, expected);
    assert!(record.rules.iter().all(|it| it.rule.name == "shop.it.r"));
}

#[test]
fn backends_have_shares_ports_and_changes_of_headers() {
    let rule = http(
        "backendRefs: [
          {name: one, port: 80, weight: 3, filters: [
            {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: a}]}}]},
          {name: two, port: 81},
          {name: none, port: 82, weight: 0},
          {name: out.example.com, port: 443, group: networking.istio.io, kind: Hostname}]",
    );
    let expected = json!({"route": [
        {"destination": {"host": "one.shop.svc.cluster.local", "port": 80}, "weight": 3,
         "headers": {"request": {"set": [{"name": "x", "value": "a"}]}}},
        {"destination": {"host": "two.shop.svc.cluster.local", "port": 81}, "weight": 1},
        {"destination": {"host": "out.example.com", "port": 443}, "weight": 1},
    ]});
    assert_eq!(rule["action"], expected);
    assert_eq!(rule["missingStatus"], 500);
}

#[test]
fn who_cannot_be_called_has_a_share_too() {
    let unusable = |fields: &str| {
        let rule = http(fields);
        let to = rule["action"]["route"][0].clone();
        assert_eq!(to["weight"], 1, "{fields}");
        to["unusable"].as_str().unwrap_or_else(|| panic!("{fields}: {rule}")).to_owned()
    };
    assert!(unusable("backendRefs: []").contains("no backend"));
    assert!(unusable("backendRefs: [{name: a, port: 80, weight: 0}]").contains("no backend"));
    assert!(unusable("backendRefs: [{name: a, group: x.io, kind: Bucket}]").contains("Bucket"));
    let filter = "filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}]";
    assert!(unusable(&format!("{TO}, {filter}")).contains("ExtensionRef"));
    let rewrite = "filters: [{type: URLRewrite, urlRewrite: {hostname: b.example.com}}]";
    let of_backend = format!("backendRefs: [{{name: a, port: 80, {rewrite}}}]");
    assert!(unusable(&of_backend).contains("headers"));
    for fields in [&format!("{TO}, {filter}"), &of_backend] {
        let flaws = rule(ObjectKind::HttpRoute, fields).flaws;
        assert!(flaws.len() == 1 && flaws[0].starts_with("spec.rules[0]."), "{flaws:?}");
    }
}

#[test]
fn services_of_other_namespaces_are_noted() {
    let record = rule(
        ObjectKind::HttpRoute,
        "backendRefs: [{name: one, port: 80}, {name: two, namespace: far, port: 80}],
         filters: [{type: RequestMirror, requestMirror: {backendRef: {name: three, namespace: far, port: 80}}}]",
    );
    let hosts: Vec<&String> = record.foreign.keys().collect();
    assert_eq!(hosts, ["three.far.svc.cluster.local", "two.far.svc.cluster.local"]);
    assert_eq!(&*record.foreign["two.far.svc.cluster.local"].name, "two");
}

#[test]
fn filters_change_redirect_rewrite_and_copy() {
    let cases = [
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], add: [{name: b, value: '2'}], remove: [c]}}",
            json!({"headers": {"request": {"set": [{"name": "a", "value": "1"}], "add": [{"name": "b", "value": "2"}], "remove": ["c"]}}}),
        ),
        (
            "{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [c]}}",
            json!({"headers": {"response": {"remove": ["c"]}}}),
        ),
        (
            "{type: URLRewrite, urlRewrite: {hostname: b.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}",
            json!({"rewrite": {"uri": {"prefix": "/v1"}, "authority": "b.example.com"}}),
        ),
        (
            "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /v1}}}",
            json!({"rewrite": {"uri": {"full": "/v1"}}}),
        ),
        (
            "{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}, percent: 25}}",
            json!({"mirrors": [{"destination": {"host": "b.shop.svc.cluster.local", "port": 80}, "percentage": 250_000}]}),
        ),
        (
            "{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}, fraction: {numerator: 1, denominator: 8}}}",
            json!({"mirrors": [{"destination": {"host": "b.shop.svc.cluster.local", "port": 80}, "percentage": 125_000}]}),
        ),
        (
            "{type: CORS, cors: {allowOrigins: ['https://*.example.com', 'https://a.com', '*'], allowMethods: [GET], allowCredentials: true, maxAge: 7}}",
            json!({"corsPolicy": {
                "allowOrigins": [{"regex": r"https://.*\.example\.com"}, {"exact": "https://a.com"}, {"exact": "*"}],
                "allowMethods": ["GET"], "allowCredentials": true, "maxAgeS": 7, "unmatchedPreflights": "ignore"}}),
        ),
    ];
    for (filter, expected) in cases {
        let rule = http(&format!("{TO}, filters: [{filter}]"));
        for (field, expected) in expected.as_object().unwrap() {
            assert_eq!(rule[field], *expected, "{filter}");
        }
    }
}

#[test]
fn a_redirect_goes_to_the_port_that_is_named_or_follows() {
    for (fields, expected) in [
        ("scheme: https", json!({"scheme": "https", "port": "fromProtocolDefault", "code": 302})),
        (
            "hostname: b.example.com, statusCode: 301",
            json!({"authority": "b.example.com", "port": "fromRequestPort", "code": 301}),
        ),
        (
            "port: 8080, path: {type: ReplaceFullPath, replaceFullPath: /x}",
            json!({"uri": {"full": "/x"}, "port": {"number": 8080}, "code": 302}),
        ),
    ] {
        let filter = format!("{{type: RequestRedirect, requestRedirect: {{{fields}}}}}");
        let rule = http(&format!("filters: [{filter}]"));
        assert_eq!(rule["action"], json!({"redirect": expected}), "{fields}");
    }
}

#[test]
fn times_and_attempts_are_as_they_are_said() {
    for (fields, timeout, retries) in [
        ("timeouts: {request: 1s500ms}", json!(1500), Value::Null),
        ("timeouts: {request: 0s}", json!(0), Value::Null),
        (
            "timeouts: {backendRequest: 100ms}",
            Value::Null,
            json!({"attempts": 2, "perTryTimeoutMs": 100}),
        ),
        (
            "retry: {codes: [500, 503], attempts: 4, backoff: 10ms}, timeouts: {backendRequest: 1s}",
            Value::Null,
            json!({"attempts": 4, "perTryTimeoutMs": 1000, "backoffMs": 10,
                   "retryOn": "connect-failure,refused-stream,reset,500,503"}),
        ),
        (
            "retry: {}",
            Value::Null,
            json!({"attempts": 2, "retryOn": "connect-failure,refused-stream,reset"}),
        ),
    ] {
        let rule = http(&format!("{TO}, {fields}"));
        assert_eq!((&rule["timeoutMs"], &rule["retries"]), (&timeout, &retries), "{fields}");
    }
}

#[test]
fn services_and_methods_of_grpc_are_paths() {
    for (method, rank, uri) in [
        ("", [0, 0, 0, 0, 0], Value::Null),
        ("{service: a.B, method: C}", [2, 3, 1, 0, 0], json!({"exact": "/a.B/C"})),
        ("{service: a.B}", [2, 3, 0, 0, 0], json!({"prefix": "/a.B/"})),
        ("{method: C}", [2, 0, 1, 0, 0], json!({"regex": "/[^/]+/C"})),
        (
            "{type: RegularExpression, service: 'a|b', method: C}",
            [1, 3, 1, 0, 0],
            json!({"regex": "/(?:a|b)/(?:C)"}),
        ),
        (
            "{type: RegularExpression, method: 'C.*'}",
            [1, 0, 3, 0, 0],
            json!({"regex": "/(?:[^/]+)/(?:C.*)"}),
        ),
    ] {
        let matches = match method {
            "" => String::new(),
            method => format!(", matches: [{{method: {method}}}]"),
        };
        let record = rule(ObjectKind::GrpcRoute, &format!("{TO}{matches}"));
        let [only] = record.rules.as_slice() else { panic!("{record:?}") };
        let found = serde_json::to_value(&only.rule).unwrap();
        assert_eq!((only.rank, &found["match"][0]["uri"]), (rank, &uri), "{method}");
        assert_eq!(found["missingStatus"], 503);
    }
    let rule = one(
        ObjectKind::GrpcRoute,
        &format!(
            "{TO}, matches: [{{headers: [{{name: X, value: y}}]}}], filters: [
              {{type: ResponseHeaderModifier, responseHeaderModifier: {{add: [{{name: a, value: b}}]}}}}]"
        ),
    );
    assert_eq!(rule["match"], json!([{"headers": {"x": {"exact": "y"}}}]));
    assert_eq!(rule["headers"], json!({"response": {"add": [{"name": "a", "value": "b"}]}}));
}

#[test]
fn a_grant_is_about_routes_and_services() {
    let yaml = "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant,
        metadata: {name: it, namespace: shop}, spec: {
          from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: far},
                 {group: gateway.networking.k8s.io, kind: Gateway, namespace: far}],
          to: [{group: '', kind: Service, name: a}, {group: '', kind: Secret}, {group: '', kind: Service}]}}";
    let Ok(Record::ReferenceGrant(grant)) = read_yaml(ObjectKind::ReferenceGrant, yaml) else {
        panic!("{yaml}");
    };
    let from = vec![(ObjectKind::HttpRoute, "far".into())];
    assert_eq!(grant, ReferenceGrantRecord { from, to: vec![Some("a".into()), None] });
}
