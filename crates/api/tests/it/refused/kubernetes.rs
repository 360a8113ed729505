//! What is said of Kubernetes' own kinds.

use super::{object, said};

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
