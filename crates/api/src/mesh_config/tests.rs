use super::*;

fn problems(text: &str) -> Vec<String> {
    match MeshConfig::parse("mesh.yaml", text) {
        Ok(config) => panic!("{config:?}"),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn providers_are_read_in_istios_words() {
    let text = "
extensionProviders:
  - name: http
    envoyExtAuthzHttp:
      service: shop/auth.example.com
      port: 8000
      timeout: 1.5s
      pathPrefix: /check
      statusOnError: '503'
      includeRequestHeadersInCheck: [x-team, x-own-*]
      includeAdditionalHeadersInCheck: {x-a: b}
      includeRequestBodyInCheck: {maxRequestBytes: 1024, allowPartialMessage: true}
  - name: grpc
    envoyExtAuthzGrpc: {service: auth.default.svc.cluster.local, port: 9000, failOpen: true}
";
    let config = MeshConfig::parse("mesh.yaml", text).unwrap();
    let [http, grpc] = &config.extension_providers[..] else { panic!("{config:?}") };
    let http = http.envoy_ext_authz_http.as_ref().unwrap();
    assert_eq!(http.port.number(), 8000);
    assert_eq!(http.timeout.unwrap().0.as_millis(), 1500);
    assert_eq!(http.include_request_body_in_check.unwrap().max_request_bytes, 1024);
    assert!(grpc.envoy_ext_authz_grpc.as_ref().unwrap().fail_open);
    let text = "defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}";
    let config = MeshConfig::parse("mesh.yaml", text).unwrap();
    assert_eq!(config.default_config.gateway_topology.num_trusted_proxies, 2);
    let text = "
trustDomainAliases: [old.example]
caCertificates:
  - {pem: PEM, trustDomains: [b.example]}
  - {spiffeBundleUrl: 'https://c.example/bundle', trustDomains: [c.example]}
";
    let config = MeshConfig::parse("mesh.yaml", text).unwrap();
    assert_eq!(config.trust_domain_aliases, ["old.example"]);
    let [given, fetched] = &config.ca_certificates[..] else { panic!("{config:?}") };
    assert_eq!(
        (given.pem.as_str(), &given.trust_domains[..]),
        ("PEM", &["b.example".to_owned()][..])
    );
    assert_eq!(fetched.spiffe_bundle_url, "https://c.example/bundle");
    for empty in ["", "{}", "extensionProviders: []"] {
        assert_eq!(MeshConfig::parse("-", empty).unwrap(), MeshConfig::default(), "{empty}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, part) in [
        ("trustDomain: a", "mesh.yaml:1:1: trustDomain: unknown field"),
        (
            "extensionProviders:\n- name: a\n  zipkin: {}",
            "mesh.yaml:3:3: extensionProviders[0].zipkin: unknown field",
        ),
        ("extensionProviders: [{name: a}]", "extensionProviders[0]"),
        (
            "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: '*.a', port: 1}}]",
            "`*.a` is no service",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a, port: 0}}]",
            "envoyExtAuthzGrpc.port",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a, port: 1, statusOnError: '99'}}]",
            "`99` is no status",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a, port: 1, timeout: soon}}]",
            "envoyExtAuthzGrpc.timeout",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a, port: 1, includeRequestBodyInCheck: {}}}]",
            "maxRequestBytes: missing",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a, port: 1, pathPrefix: x}}]",
            "pathPrefix: must begin with `/`",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a, port: 1, headersToDownstreamOnDeny: ['*']}}]",
            "headersToDownstreamOnDeny[0]: `*` is no name",
        ),
        (
            "extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a, port: 1, includeAdditionalHeadersInCheck: {a: \"b\\nc\"}}}]",
            "includeAdditionalHeadersInCheck.a",
        ),
        (
            "extensionProviders:\n- {name: a, envoyExtAuthzGrpc: {service: a, port: 1}}\n- {name: a, envoyExtAuthzGrpc: {service: a, port: 1}}",
            "extensionProviders[1].name: `a` stands there twice",
        ),
        (
            "defaultConfig: {gatewayTopology: {numTrustedProxies: -1}}",
            "defaultConfig.gatewayTopology.numTrustedProxies",
        ),
        ("trustDomainAliases: [A]", "trustDomainAliases[0]: `A` is not a trust domain"),
        ("trustDomainAliases: [a, b, a]", "trustDomainAliases[2]: `a` stands there twice"),
        ("caCertificates: [{trustDomains: [b]}]", "caCertificates[0]"),
        ("caCertificates: [{pem: a, spiffeBundleUrl: 'https://b/'}]", "caCertificates[0]"),
        (
            "caCertificates: [{spiffeBundleUrl: 'http://b.example/'}]",
            "caCertificates[0].spiffeBundleUrl: must begin with `https://`",
        ),
        ("caCertificates: [{pem: a, trustDomains: ['']}]", "caCertificates[0].trustDomains[0]"),
        ("caCertificates: [{pem: a, certSigners: [c]}]", "certSigners: unknown field"),
        ("defaultConfig: {concurrency: 2}", "defaultConfig.concurrency: unknown field"),
        ("a: [", "mesh.yaml:"),
        ("- a", "must be"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|it| it.contains(part)), "{text}: {found:?}");
    }
}
