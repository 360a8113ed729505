//! The authorizers of a mesh's own settings (`extensionProviders`).

use std::sync::Arc;

use meltemi_api::MeshConfig;
use meltemi_api::mesh_config as api;
use meltemi_policy::authz::provider::{
    Body, DEFAULT_STATUS_ON_ERROR, DEFAULT_TIMEOUT, Http, Protocol, Provider,
};

/// The authorizers that policies may name. The settings were checked when they were parsed.
pub fn extension_providers(config: MeshConfig) -> Vec<Arc<Provider>> {
    config.extension_providers.into_iter().filter_map(provider).map(Arc::new).collect()
}

fn provider(given: api::ExtensionProvider) -> Option<Provider> {
    if let Some(grpc) = given.envoy_ext_authz_grpc {
        let (namespace, service) = place(&grpc.service);
        return Some(Provider {
            name: given.name,
            service,
            namespace,
            port: grpc.port.number(),
            timeout_ms: millis(grpc.timeout.map(|it| it.0)),
            fail_open: grpc.fail_open,
            status_on_error: status(&grpc.status_on_error),
            body: grpc.include_request_body_in_check.map(body),
            protocol: Protocol::Grpc,
        });
    }
    let http = given.envoy_ext_authz_http?;
    let (namespace, service) = place(&http.service);
    // As with Istio the old name counts where the new one is not there.
    let shown = match http.include_request_headers_in_check.is_empty() {
        true => http.include_headers_in_check,
        false => http.include_request_headers_in_check,
    };
    Some(Provider {
        name: given.name,
        service,
        namespace,
        port: http.port.number(),
        timeout_ms: millis(http.timeout.map(|it| it.0)),
        fail_open: http.fail_open,
        status_on_error: status(&http.status_on_error),
        body: http.include_request_body_in_check.map(body),
        protocol: Protocol::Http(Http {
            path_prefix: http.path_prefix,
            include_request_headers_in_check: shown,
            include_additional_headers_in_check: http.include_additional_headers_in_check,
            headers_to_upstream_on_allow: http.headers_to_upstream_on_allow,
            headers_to_downstream_on_deny: http.headers_to_downstream_on_deny,
            headers_to_downstream_on_allow: http.headers_to_downstream_on_allow,
        }),
    })
}

/// `[NAMESPACE/]HOST`: the namespace, empty for any, and the host as the registry has it.
fn place(service: &str) -> (String, String) {
    let (namespace, host) = service.split_once('/').unwrap_or_default();
    let host = if namespace.is_empty() { service } else { host };
    (namespace.to_owned(), host.trim_end_matches('.').to_ascii_lowercase())
}

fn millis(timeout: Option<std::time::Duration>) -> u64 {
    u64::try_from(timeout.unwrap_or(DEFAULT_TIMEOUT).as_millis()).unwrap_or(u64::MAX)
}

fn status(text: &str) -> u16 {
    text.parse().unwrap_or(DEFAULT_STATUS_ON_ERROR)
}

fn body(given: api::RequestBody) -> Body {
    Body {
        max_request_bytes: given.max_request_bytes,
        allow_partial_message: given.allow_partial_message,
        pack_as_bytes: given.pack_as_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_with_istio() {
        let text = "
extensionProviders:
- name: a
  envoyExtAuthzGrpc: {service: Auth.Example., port: 9000}
- name: b
  envoyExtAuthzHttp:
    {service: shop/auth.example, port: 80, timeout: 2s, statusOnError: '503', includeHeadersInCheck: [x-a]}
";
        let read = extension_providers(MeshConfig::parse("-", text).unwrap());
        let [a, b] = &read[..] else { panic!("{read:?}") };
        assert_eq!((a.namespace.as_str(), a.service.as_str()), ("", "auth.example"));
        assert_eq!((a.timeout_ms, a.status_on_error, a.fail_open), (600_000, 403, false));
        assert_eq!((b.namespace.as_str(), b.service.as_str()), ("shop", "auth.example"));
        assert_eq!((b.timeout_ms, b.status_on_error), (2000, 503));
        let Protocol::Http(http) = &b.protocol else { panic!("{b:?}") };
        assert_eq!(http.include_request_headers_in_check, ["x-a"]);
    }
}
