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
        (
            "{directResponse: {status: 101}}",
            "spec.http[0].directResponse.status: 101 is not a status that ends an exchange; 200 to 599",
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

/// A rule to a destination, with this beside it.
fn with(rest: &str) -> String {
    route(&format!("{{{rest}, route: [{{destination: {{host: a}}}}]}}"))
}

fn assert_said(text: &str, expected: &str) {
    let told = said(text);
    assert!(told.iter().any(|it| it.contains(expected)), "{text}: {told:#?}");
}

/// Each of these made a sidecar refuse all that is said of the host.
#[test]
fn what_sidecars_would_refuse_is_refused_with_its_place() {
    for (rest, expected) in [
        (
            r"rewrite: {uriRegexRewrite: {match: '/(a)', rewrite: '/\2'}}",
            r"spec.http[0].rewrite.uriRegexRewrite.rewrite: `/\2` speaks of group 2",
        ),
        (
            r"rewrite: {uriRegexRewrite: {match: '/a', rewrite: '/\x'}}",
            r"spec.http[0].rewrite.uriRegexRewrite.rewrite: in `/\x` a digit",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '/a', rewrite: '/a b'}}",
            "spec.http[0].rewrite.uriRegexRewrite.rewrite: \"/a b\" has a blank",
        ),
        (
            "rewrite: {uri: '/a b'}",
            "x:7:21: VirtualService default/a: spec.http[0].rewrite.uri: \"/a b\" has a blank",
        ),
        ("rewrite: {authority: 'a b'}", "spec.http[0].rewrite.authority: \"a b\" has a blank"),
        (
            r"match: [{uri: {regex: '(\w{500}){500}'}}]",
            r"spec.http[0].match[0].uri.regex: the regular expression `(\w{500}){500}` takes more",
        ),
        (
            r"corsPolicy: {allowOrigins: [{regex: '(\w{500}){500}'}]}",
            "spec.http[0].corsPolicy.allowOrigins[0].regex: the regular expression",
        ),
        (
            r#"headers: {request: {set: {x-a: "a\x01"}}}"#,
            "spec.http[0].headers.request.set.x-a: \"a\\u{1}\": a header's value cannot have control",
        ),
        (
            r#"headers: {response: {add: {x-a: "a\nb"}}}"#,
            "spec.http[0].headers.response.add.x-a: a header's value cannot have line breaks",
        ),
    ] {
        assert_said(&with(rest), expected);
    }
    for (redirect, expected) in [
        ("uri: '/a b'", "spec.http[0].redirect.uri: \"/a b\" has a blank"),
        ("authority: 'a b'", "spec.http[0].redirect.authority: \"a b\" has a blank"),
    ] {
        assert_said(&route(&format!("{{redirect: {{{redirect}}}}}")), expected);
    }
}

/// A route of the Gateway API with this as its only rule.
fn gateway_route(kind: &str, rule: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  parentRefs: [{{kind: Service, group: '', name: a}}]\n  rules:\n  - {rule}\n"
    )
}

#[test]
fn what_sidecars_would_refuse_of_the_gateway_api_is_refused_with_its_place() {
    let modifier = |value: &str| {
        format!(
            "{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-a, value: \"{value}\"}}]}}}}]}}"
        )
    };
    let rewrite = |kind: &str, field: &str| {
        format!(
            "{{filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: {kind}, {field}: '/a b'}}}}}}]}}"
        )
    };
    for (kind, rule, expected) in [
        (
            "HTTPRoute",
            rewrite("ReplaceFullPath", "replaceFullPath"),
            "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath: \"/a b\" has a blank",
        ),
        (
            "HTTPRoute",
            rewrite("ReplacePrefixMatch", "replacePrefixMatch"),
            "spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: \"/a b\" has a blank",
        ),
        (
            "HTTPRoute",
            r"{matches: [{path: {type: RegularExpression, value: '(\w{500}){500}'}}]}".to_owned(),
            "spec.rules[0].matches[0].path.value: the regular expression",
        ),
        (
            "GRPCRoute",
            r"{matches: [{method: {type: RegularExpression, service: '(\w{500}){500}'}}]}"
                .to_owned(),
            "spec.rules[0].matches[0].method.service: the regular expression",
        ),
        ("HTTPRoute", modifier("a\\x01"), "set[0].value: \"a\\u{1}\": a header's value cannot"),
        ("GRPCRoute", modifier("a\\nb"), "set[0].value: a header's value cannot have line breaks"),
        (
            "HTTPRoute",
            "{filters: [{type: CORS, cors: {allowOrigins: [a], allowMethods: ['GET X']}}]}"
                .to_owned(),
            "spec.rules[0].filters[0].cors.allowMethods[0]: `GET X` is not a method",
        ),
    ] {
        assert_said(&gateway_route(kind, &rule), expected);
    }
}

#[test]
fn what_istio_takes_is_taken() {
    for (rest, warnings) in [
        ("match: [{uri: {prefix: ''}}]", 0),
        ("match: [{withoutHeaders: {x-a: {regex: '*'}}}]", 0),
        (
            "match: [{headers: {':method': {exact: GET}, ':path': {prefix: /}, ':authority': {exact: a}}}]",
            0,
        ),
        ("match: [{headers: {'@request.auth.claims.groups': {exact: admin}}}]", 1),
        ("match: [{headers: {'@request.auth.claims[a][b.c]': {exact: admin}}}]", 1),
        ("match: [{headers: {':status': {exact: '200'}}}]", 1),
    ] {
        let accepted = parse(&[source("x", &with(rest))], &Options::default());
        let accepted = accepted.unwrap_or_else(|findings| panic!("{rest}: {findings:#?}"));
        assert_eq!(accepted.warnings.len(), warnings, "{rest}: {:#?}", accepted.warnings);
        let is_told = |it: &Finding| it.message.ends_with("it never matches");
        assert!(accepted.warnings.iter().all(is_told), "{:#?}", accepted.warnings);
    }
}

#[test]
fn what_istio_refuses_is_refused() {
    for (rest, expected) in [
        ("match: [{headers: {x-a: {regex: '*'}}}]", "spec.http[0].match[0].headers.x-a.regex: `*`"),
        ("match: [{headers: {x-a: {prefix: ''}}}]", "headers.x-a.prefix: empty"),
        ("match: [{headers: {':other': {exact: a}}}]", "`:other` is not the name of a header"),
        (
            "match: [{headers: {'@request.auth': {}}}]",
            "`@request.auth` is not the name of a header",
        ),
        (
            "headers: {response: {set: {':status': '200'}}}",
            "set[:status]: `:status` cannot be changed",
        ),
        ("headers: {request: {add: {':path': /}}}", "add[:path]: `:path` cannot be changed"),
        ("headers: {response: {add: {host: a}}}", "add.host: `host` cannot be changed"),
        (
            "rewrite: {authority: a}, headers: {request: {set: {':authority': b}}}",
            "spec.http[0].headers.request.set[:authority]: the host that is asked is changed in another place",
        ),
        (
            "headers: {request: {set: {host: b}, add: {':authority': c}}}",
            "spec.http[0].headers.request.add[:authority]: the host that is asked is changed in another",
        ),
    ] {
        assert_said(&with(rest), expected);
    }
    let told = said(&with("headers: {request: {set: {':authority': b}}}"));
    assert_eq!(told, [""; 0]);
}
