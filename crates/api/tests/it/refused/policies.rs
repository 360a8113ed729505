//! What is said of Istio's security and telemetry kinds.

use super::{object, said};

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
            "{rules: [{to: [{operation: {paths: ['/{**}/a/{*}']}}]}]}",
            "spec.rules[0].to[0].operation.paths[0]: `/{**}/a/{*}`: neither `{*}` nor `{**}` can follow `{**}`",
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
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, outputClaimToHeaders: [{header: Content-Length, claim: a}]}]}",
            "spec.jwtRules[0].outputClaimToHeaders[0].header: `Content-Length` says where a request goes or ends: no claim may be written to it",
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, outputPayloadToHeader: host}]}",
            "spec.jwtRules[0].outputPayloadToHeader: `host` says where a request goes or ends: no claim may be written to it",
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, outputPayloadToHeader: 'a b'}]}",
            "is not the name of a header",
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
