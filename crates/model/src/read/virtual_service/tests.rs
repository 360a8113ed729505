use serde_json::{Value, json};

use super::*;
use crate::read::tests::{read_yaml, settings};
use crate::record::Record;
use crate::settings::DefaultExportTo;

fn read(spec: &str) -> Result<VirtualServiceRecord, String> {
    match read_yaml(ObjectKind::VirtualService, &yaml(spec))? {
        Record::VirtualService(record) => Ok(record),
        other => panic!("{other:?}"),
    }
}

fn yaml(spec: &str) -> String {
    format!(
        r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: it, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}}
spec:
{spec}
"#
    )
}

/// The only rule for requests, of which `fields` are given beside a destination.
fn route(fields: &str) -> Value {
    let to = "route: [{destination: {host: reviews}}]";
    let spec = format!("  hosts: [reviews]\n  http: [{{{to}, {fields}}}]");
    let record = read(&spec).unwrap_or_else(|reason| panic!("{fields}: {reason}"));
    serde_json::to_value(&record.rule.http[0]).unwrap()
}

#[test]
fn every_field_has_its_place() {
    let record = read(
        r#"
  hosts: [reviews, "*.Example.com"]
  gateways: [mesh, edge, other/edge, ./own]
  exportTo: [".", other]
  http:
  - name: first
    match:
    - name: m
      uri: {prefix: /api}
      ignoreUriCase: true
      scheme: {exact: https}
      method: {regex: "GET|POST"}
      authority: {prefix: reviews}
      headers: {X-User: {exact: ann}, x-any: {}}
      withoutHeaders: {X-Bot: {prefix: crawl}}
      queryParams: {q: {regex: ".+"}, any: {}}
      port: 9080
      sourceLabels: {app: web}
      sourceNamespace: front
      gateways: [mesh, edge]
      statPrefix: stats
    route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
      weight: 90
      headers:
        request: {set: {x-b: "2", x-a: "1"}, add: {x-c: "3"}, remove: [x-d]}
        response: {remove: [x-e]}
    - destination: {host: other.example.com}
      weight: 10
    rewrite: {uri: /v1, authority: inner}
    timeout: 5s
    retries:
      attempts: 3
      perTryTimeout: 1s
      retryOn: 5xx,503
      retryRemoteLocalities: true
      retryIgnorePreviousHosts: false
      backoff: 10ms
    fault:
      delay: {fixedDelay: 2s, percentage: {value: 0.5}}
      abort: {httpStatus: 418, percentage: {value: 25}}
    mirrors:
    - destination: {host: shadow, subset: v2}
      percentage: {value: 50}
    - destination: {host: dark.example.com}
    corsPolicy:
      allowOrigins: [{exact: "*"}, {regex: "https://.*"}]
      allowMethods: [GET]
      allowHeaders: [x-in]
      exposeHeaders: [x-out]
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
    headers:
      request: {set: {x-all: "1"}}
  tls:
  - match:
    - sniHosts: ["Login.Example.com"]
      destinationSubnets: [10.0.0.0/8]
      port: 443
      sourceLabels: {app: web}
      sourceNamespace: front
      gateways: [edge]
    route: [{destination: {host: reviews}, weight: 1}, {destination: {host: b.example.com}, weight: 2}]
  tcp:
  - match:
    - destinationSubnets: [10.1.0.0/16]
      port: 3306
      sourceLabels: {app: web}
      sourceNamespace: front
      gateways: [mesh]
    route: [{destination: {host: db, port: {number: 3306}}}]
"#,
    )
    .unwrap();
    assert_eq!(record.created, "2026-01-01T00:00:00Z");
    assert!(record.delegates.is_empty());
    let reviews = "reviews.shop.svc.cluster.local";
    assert_eq!(
        record.hosts.iter().map(Host::as_str).collect::<Vec<_>>(),
        [reviews, "*.example.com"]
    );
    assert_eq!(
        serde_json::to_value(&record.rule).unwrap(),
        json!({
            "name": "it", "namespace": "shop", "created": 1_767_225_600, "hosts": [reviews, "*.example.com"],
            "exportTo": [".", "other"], "gateways": ["mesh", "shop/edge", "other/edge", "shop/own"],
            "http": [{
                "name": "first",
                "match": [{
                    "name": "m", "uri": {"prefix": "/api"}, "ignoreUriCase": true,
                    "scheme": {"exact": "https"}, "method": {"regex": "GET|POST"},
                    "authority": {"prefix": "reviews"},
                    "headers": {"x-user": {"exact": "ann"}, "x-any": "present"},
                    "withoutHeaders": {"x-bot": {"prefix": "crawl"}},
                    "queryParams": {"q": {"regex": ".+"}, "any": "present"},
                    "port": 9080, "sourceLabels": {"app": "web"}, "sourceNamespace": "front",
                    "gateways": ["mesh", "shop/edge"], "statPrefix": "stats"}],
                "action": {"route": [
                    {"destination": {"host": reviews, "subset": "v1", "port": 9080}, "weight": 90,
                     "headers": {
                        "request": {
                            "set": [{"name": "x-a", "value": "1"}, {"name": "x-b", "value": "2"}],
                            "add": [{"name": "x-c", "value": "3"}], "remove": ["x-d"]},
                        "response": {"remove": ["x-e"]}}},
                    {"destination": {"host": "other.example.com"}, "weight": 10}]},
                "rewrite": {"uri": {"prefix": "/v1"}, "authority": "inner"},
                "timeoutMs": 5000,
                "retries": {
                    "attempts": 3, "perTryTimeoutMs": 1000, "retryOn": "5xx,503",
                    "retryRemoteLocalities": true, "retryIgnorePreviousHosts": false, "backoffMs": 10},
                "fault": {
                    "delay": {"fixedDelayMs": 2000, "percentage": 5000},
                    "abort": {"with": {"httpStatus": 418}, "percentage": 250_000}},
                "mirrors": [
                    {"destination": {"host": "shadow.shop.svc.cluster.local", "subset": "v2"},
                     "percentage": 500_000},
                    {"destination": {"host": "dark.example.com"}}],
                "corsPolicy": {
                    "allowOrigins": [{"exact": "*"}, {"regex": "https://.*"}], "allowMethods": ["GET"],
                    "allowHeaders": ["x-in"], "exposeHeaders": ["x-out"], "maxAgeS": 86_400,
                    "allowCredentials": true, "unmatchedPreflights": "ignore"},
                "headers": {"request": {"set": [{"name": "x-all", "value": "1"}]}}}],
            "tls": [{
                "match": [{
                    "sniHosts": ["login.example.com"], "destinationSubnets": ["10.0.0.0/8"], "port": 443,
                    "sourceLabels": {"app": "web"}, "sourceNamespace": "front", "gateways": ["shop/edge"]}],
                "route": [
                    {"destination": {"host": reviews}, "weight": 1},
                    {"destination": {"host": "b.example.com"}, "weight": 2}]}],
            "tcp": [{
                "match": [{
                    "destinationSubnets": ["10.1.0.0/16"], "port": 3306, "sourceLabels": {"app": "web"},
                    "sourceNamespace": "front", "gateways": ["mesh"]}],
                "route": [{"destination": {"host": "db.shop.svc.cluster.local", "port": 3306}}]}],
        })
    );
}

#[test]
fn what_has_several_forms_is_read_in_each() {
    let shadow = json!({"host": "shadow.shop.svc.cluster.local"});
    let mirror = |percentage: Option<u32>| match percentage {
        Some(percentage) => json!([{"destination": shadow, "percentage": percentage}]),
        None => json!([{"destination": shadow}]),
    };
    let delay = |percentage: u32| json!({"delay": {"fixedDelayMs": 1, "percentage": percentage}});
    let abort = |with: Value| json!({"abort": {"with": with, "percentage": 1_000_000}});
    for (given, field, expected) in [
        ("mirror: {host: shadow}", "mirrors", mirror(None)),
        ("mirror: {host: shadow}, mirrorPercentage: {value: 0.01}", "mirrors", mirror(Some(100))),
        ("mirror: {host: shadow}, mirrorPercent: 7", "mirrors", mirror(Some(70_000))),
        ("mirror: {host: shadow}, mirror_percent: 8", "mirrors", mirror(Some(80_000))),
        ("mirror: {host: shadow}, mirrorPercent: 0", "mirrors", mirror(Some(0))),
        ("fault: {delay: {fixedDelay: 1ms}}", "fault", delay(0)),
        ("fault: {delay: {fixedDelay: 1ms, percent: 3}}", "fault", delay(30_000)),
        ("fault: {abort: {grpcStatus: UNAVAILABLE}}", "fault", abort(json!({"grpcStatus": 14}))),
        ("fault: {abort: {grpcStatus: '5'}}", "fault", abort(json!({"grpcStatus": 5}))),
        (
            "rewrite: {uriRegexRewrite: {match: ^/a/(.*), rewrite: /b/\\1}}",
            "rewrite",
            json!({"uri": {"regex": {"pattern": "^/a/(.*)", "rewrite": "/b/\\1"}}}),
        ),
        (
            "corsPolicy: {allowOrigin: [https://a]}",
            "corsPolicy",
            json!({"allowOrigins": [{"exact": "https://a"}]}),
        ),
        ("corsPolicy: {unmatchedPreflights: UNSPECIFIED}", "corsPolicy", json!({})),
        ("match: [{uri: {exact: /a}}]", "match", json!([{"uri": {"exact": "/a"}}])),
        ("match: [{uri: {regex: /a.*}}]", "match", json!([{"uri": {"regex": "/a.*"}}])),
        ("match: [{uri: {}}]", "match", json!([{}])),
        ("timeout: 0s", "timeoutMs", json!(0)),
        ("retries: {attempts: 0}", "retries", json!({"attempts": 0})),
    ] {
        assert_eq!(route(given)[field], expected, "{given}");
    }
}

#[test]
fn requests_can_be_answered_and_sent_elsewhere() {
    for (given, expected) in [
        (
            "redirect: {uri: /new, authority: b.example.com, port: 8443, scheme: https, redirectCode: 308}",
            json!({"redirect": {"uri": {"full": "/new"}, "authority": "b.example.com",
                "port": {"number": 8443}, "scheme": "https", "code": 308}}),
        ),
        (
            "redirect: {uri: '%PREFIX()%/new', derivePort: FROM_REQUEST_PORT}",
            json!({"redirect": {"uri": {"prefix": "/new"}, "port": "fromRequestPort", "code": 301}}),
        ),
        (
            "redirect: {scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}",
            json!({"redirect": {"scheme": "https", "port": "fromProtocolDefault", "code": 301}}),
        ),
        (
            "directResponse: {status: 503, body: {string: later}}",
            json!({"directResponse": {"status": 503, "body": {"string": "later"}}}),
        ),
        (
            "directResponse: {status: 200, body: {bytes: Zm9v}}",
            json!({"directResponse": {"status": 200, "body": {"string": "foo"}}}),
        ),
        (
            "directResponse: {status: 200, body: {bytes: AP8=}}",
            json!({"directResponse": {"status": 200, "body": {"bytes": [0, 255]}}}),
        ),
        ("directResponse: {status: 204}", json!({"directResponse": {"status": 204}})),
    ] {
        let record = read(&format!("  hosts: [a.com]\n  http: [{{{given}}}]")).unwrap();
        assert_eq!(serde_json::to_value(&record.rule.http[0].action).unwrap(), expected, "{given}");
    }
}

#[test]
fn delegates_are_named_by_the_place_of_their_route() {
    let record = read(
        "  hosts: [a.com]\n  http: [{route: [{destination: {host: b}}]}, {delegate: {name: d}}, {delegate: {name: e, namespace: other}}]",
    )
    .unwrap();
    let object = |namespace, name| Object::new(ObjectKind::VirtualService, namespace, name);
    assert_eq!(record.delegates, [(1, object("shop", "d")), (2, object("other", "e"))].into());
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let to = "route: [{destination: {host: b}}]";
    for (spec, part) in [
        (format!("  hosts: [a b]\n  http: [{{{to}}}]"), "spec.hosts[0]"),
        ("  hosts: [a]\n  http: [{}]".into(), "spec.http[0]"),
        (format!("  hosts: [a]\n  http: [{{{to}, timout: 1s}}]"), "spec.http[0].timout"),
        ("  http: [{delegate: {name: x}}]".into(), "spec.http[0].delegate"),
        (
            format!("  hosts: [a]\n  http: [{{{to}, fault: {{delay: {{exponentialDelay: 1s}}}}}}]"),
            "spec.http[0].fault.delay.exponentialDelay",
        ),
        (
            format!("  hosts: [a]\n  http: [{{{to}, fault: {{abort: {{http2Error: X}}}}}}]"),
            "spec.http[0].fault.abort.http2Error",
        ),
        (format!("  hosts: [a]\n  http: [{{{to}, match: [{{uri: {{regex: '('}}}}]}}]"), "regex"),
    ] {
        let reason = read(&spec).expect_err(&spec);
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn the_meshs_default_tells_who_sees_a_rule_that_does_not_say_it() {
    let export_to =
        DefaultExportTo { virtual_services: vec![".".into()], ..DefaultExportTo::default() };
    let settings = Settings { export_to, ..settings() };
    let object = Object::new(ObjectKind::VirtualService, "shop", "it");
    let read = |export_to: &str| {
        let to = "http: [{route: [{destination: {host: b}}]}]";
        let yaml = yaml(&format!("  {{hosts: [a], {to}, exportTo: {export_to}}}"));
        let value = meltemi_api::parse::value(&yaml).unwrap();
        super::read(&object, &value, &settings).unwrap().rule.export_to
    };
    assert_eq!(read("[]"), ["."]);
    assert_eq!(read("['*']"), ["*"]);
}
