//! What is said of virtual services.

use meltemi_api::Finding;
use meltemi_api::parse::{Options, parse};

use super::{said, source};

/// A virtual service with this as its `http`.
fn route(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [a]\n  http:\n  - {http}\n"
    )
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
            "route: [{destination: {host: \"*\"}}]",
            "spec.http[0].route[0].destination.host: `*` is no service: name one",
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
            "{fault: {abort: {httpStatus: 601}}, route: [{destination: {host: a}}]}",
            "spec.http[0].fault.abort.httpStatus: 601 must lie between 200 and 600",
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
