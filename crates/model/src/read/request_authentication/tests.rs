use serde_json::json;

use super::*;
use crate::read::tests::read_yaml;
use crate::record::{ObjectKind, Record};

fn record(spec: &str) -> RequestAuthenticationRecord {
    let yaml = format!(
        "{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {{name: it}}, spec: {spec}}}"
    );
    match read_yaml(ObjectKind::RequestAuthentication, &yaml).unwrap() {
        Record::RequestAuthentication(record) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rule_is_read_with_all_of_its_fields() {
    let read = record(
        "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: i, audiences: [a, b],
          jwksUri: 'https://i.example/keys', fromHeaders: [{name: X-Jwt, prefix: 'JWT '}, {name: x}],
          fromParams: [t], fromCookies: [c], outputPayloadToHeader: x-payload,
          outputClaimToHeaders: [{header: x-sub, claim: sub}], forwardOriginalToken: true, timeout: 2s,
          spaceDelimitedClaims: [roles]}]}",
    );
    assert_eq!(
        read.selector.unwrap().into_iter().collect::<Vec<_>>(),
        [("app".into(), "web".into())]
    );
    assert!(!read.is_elsewhere);
    let header = |name: &str, prefix: &str| JwtHeader { name: name.into(), prefix: prefix.into() };
    let rule = JwtRule {
        issuer: "i".into(),
        audiences: vec!["a".into(), "b".into()],
        jwks: None,
        from_headers: vec![header("X-Jwt", "JWT "), header("x", "")],
        from_params: vec!["t".into()],
        from_cookies: vec!["c".into()],
        output_payload_to_header: "x-payload".into(),
        output_claim_to_headers: vec![ClaimToHeader {
            header: "x-sub".into(),
            claim: "sub".into(),
        }],
        forward_original_token: true,
        space_delimited_claims: vec!["roles".into()],
    };
    let expected = JwtRuleRecord {
        rule,
        keys_from: Some(KeySource::Uri("https://i.example/keys".into())),
        timeout: Duration::from_secs(2),
    };
    assert_eq!(read.rules, [expected]);
}

#[test]
fn keys_come_from_the_resource_its_address_or_its_issuer() {
    let uri = |uri: &str| Some(KeySource::Uri(uri.into()));
    for (rule, expected) in [
        ("{issuer: 'https://i', jwks: '{\"keys\": []}'}", None),
        ("{issuer: 'https://i', jwksUri: 'http://k/'}", uri("http://k/")),
        ("{issuer: 'https://i', jwks_uri: 'http://k/'}", uri("http://k/")),
        ("{issuer: 'https://i'}", Some(KeySource::Issuer("https://i".into()))),
        ("{issuer: 'me@example.com'}", None),
    ] {
        let read = record(&format!("{{jwtRules: [{rule}]}}"));
        assert_eq!(read.rules[0].keys_from, expected, "{rule}");
        assert_eq!(read.rules[0].timeout, Duration::from_secs(5));
    }
}

#[test]
fn of_keys_in_the_resource_the_public_part_travels() {
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k", "d": "secret", "x5c": ["long"],
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let set = json!({ "keys": [key] }).to_string();
    let read = record(&format!("{{jwtRules: [{{issuer: i, jwks: '{set}'}}]}}"));
    let travels = read.rules[0].rule.jwks.as_deref().unwrap();
    assert!(!travels.contains("secret") && !travels.contains("x5c"), "{travels}");
    assert!(KeySet::parse(travels).is_ok());
    // What is of no use travels too, so that the proxy refuses by it.
    let useless = record("{jwtRules: [{issuer: i, jwks: '{\"keys\": [1]}'}]}");
    assert_eq!(useless.rules[0].rule.jwks.as_deref(), Some("{\"keys\":[1]}"));
}

#[test]
fn a_policy_is_attached_to_services_and_service_entries() {
    let gateway = "{kind: Gateway, group: gateway.networking.k8s.io, name: g}";
    let entry = "{kind: ServiceEntry, group: networking.istio.io, name: e}";
    let host = "s.shop.svc.cluster.local";
    for (spec, services, entries, is_elsewhere, is_flawed) in [
        ("{}".to_owned(), &[][..], &[][..], false, false),
        ("{selector: {}}".to_owned(), &[], &[], false, false),
        (format!("{{targetRef: {gateway}}}"), &[], &[], true, true),
        ("{targetRefs: [{kind: Service, name: s}]}".to_owned(), &[host], &[], false, false),
        (format!("{{targetRefs: [{entry}, {gateway}]}}"), &[], &["e"], false, true),
    ] {
        let read = record(&spec);
        assert_eq!(read.services, services, "{spec}");
        assert_eq!(read.entries.iter().map(|it| &**it).collect::<Vec<_>>(), entries, "{spec}");
        assert_eq!((read.is_elsewhere, read.flaw.is_some()), (is_elsewhere, is_flawed), "{spec}");
    }
}
