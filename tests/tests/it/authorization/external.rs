//! CUSTOM policies: authorizers outside are asked, by Envoy's two protocols, and what they say is done.

mod authorizers;
mod bodies;
mod by_http;
mod connections;
mod failures;
mod grpc_calls;
mod tables;
mod told;

use meltemi_tests::{Response, Sidecar};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::authorizers::{AskedByHttp, GrpcAuthorizer, HttpAuthorizer};
use super::World;

/// A mesh with a service `web` and two authorizers, themselves services of the mesh.
struct Asking {
    world: World,
    grpc: GrpcAuthorizer,
    http: HttpAuthorizer,
    grpc_sidecar: Option<Sidecar>,
    _http_sidecar: Sidecar,
    _files: TempDir,
}

/// The mesh's settings, with the ports of the authorizers put in.
const PROVIDERS: &str = "
extensionProviders:
- name: grpc
  envoyExtAuthzGrpc: {service: auth-grpc.default.svc.cluster.local, port: GRPC, timeout: 60s}
- name: grpc-open
  envoyExtAuthzGrpc: {service: default/auth-grpc.default.svc.cluster.local, port: GRPC, failOpen: true}
- name: grpc-elsewhere
  envoyExtAuthzGrpc: {service: other/auth-grpc.default.svc.cluster.local, port: GRPC}
- name: quick
  envoyExtAuthzGrpc:
    {service: auth-grpc.default.svc.cluster.local, port: GRPC, timeout: 0.2s, statusOnError: '504'}
- name: quick-open
  envoyExtAuthzGrpc:
    {service: auth-grpc.default.svc.cluster.local, port: GRPC, timeout: 0.2s, failOpen: true}
- name: bytes
  envoyExtAuthzGrpc:
    service: auth-grpc.default.svc.cluster.local
    port: GRPC
    includeRequestBodyInCheck: {maxRequestBytes: 8, packAsBytes: true}
- name: part
  envoyExtAuthzGrpc:
    service: auth-grpc.default.svc.cluster.local
    port: GRPC
    includeRequestBodyInCheck: {maxRequestBytes: 8, allowPartialMessage: true}
- name: nowhere
  envoyExtAuthzGrpc: {service: nobody.default.svc.cluster.local, port: 9000, statusOnError: '503'}
- name: http
  envoyExtAuthzHttp:
    service: auth-http.default.svc.cluster.local
    port: HTTP
    timeout: 60s
    pathPrefix: /check
    includeRequestHeadersInCheck: [x-ask, x-own-*]
    includeAdditionalHeadersInCheck: {x-mesh: test}
    includeRequestBodyInCheck: {maxRequestBytes: 8, allowPartialMessage: true}
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnDeny: [x-why, set-cookie]
    headersToDownstreamOnAllow: [x-wh*]
- name: http-plain
  envoyExtAuthzHttp:
    service: outside.example
    port: HTTP
    includeHeadersInCheck: [x-ask]
";

/// An authorizer beside the mesh, called in plaintext.
const OUTSIDE: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [outside.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: HTTP, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1}]
";

impl Asking {
    async fn start() -> Self {
        let (grpc, http) = (GrpcAuthorizer::start().await, HttpAuthorizer::start().await);
        let with_ports = |text: &str| {
            let text = text.replace("port: GRPC", &format!("port: {}", grpc.port));
            let text = text.replace("port: HTTP", &format!("port: {}", http.port));
            text.replace("number: HTTP", &format!("number: {}", http.port))
        };
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("mesh.yaml");
        std::fs::write(&file, with_ports(PROVIDERS)).unwrap();
        let world = World::start_with(&["--mesh-config", file.to_str().unwrap()]).await;
        let mesh = &world.mesh;
        let grpc_sidecar = mesh.workload("auth-grpc").port(grpc.port, "grpc").proxy().await;
        let http_sidecar = mesh.workload("auth-http").port(http.port, "http").proxy().await;
        mesh.apply(&with_ports(OUTSIDE)).await;
        let grpc_sidecar = Some(grpc_sidecar);
        Asking { world, grpc, http, grpc_sidecar, _http_sidecar: http_sidecar, _files: files }
    }

    /// Has a provider asked about what these rules match.
    async fn asks(&self, provider: &str, rules: Value) {
        self.world.specs(&[custom(provider, rules)]).await;
    }

    /// Calls `web` with a header `x-ask` and further ones.
    async fn call(&self, path: &str, ask: &str, headers: &[(&str, &str)]) -> Response {
        let headers: Vec<(&str, &str)> = [("x-ask", ask)].iter().chain(headers).copied().collect();
        let target = format!("http://web{path}");
        self.world.client.http().await.call("GET", &target, &headers, b"").await
    }
}

/// A policy for `web` alone, so that questions to the authorizers are not asked about.
fn custom(provider: &str, rules: Value) -> Value {
    json!({
        "selector": {"matchLabels": {"app": "web"}},
        "action": "CUSTOM", "provider": {"name": provider}, "rules": rules,
    })
}

/// The same of another action.
fn for_web(action: &str, rules: Value) -> Value {
    json!({"selector": {"matchLabels": {"app": "web"}}, "action": action, "rules": rules})
}

fn paths(paths: &[&str]) -> Value {
    json!([{"to": [{"operation": {"paths": paths}}]}])
}

/// The value of a field that the application saw, as `/echo` tells it; several with `|` between them.
fn seen(response: &Response, name: &str) -> String {
    let json = response.json();
    let fields = json["headers"].as_array().unwrap().iter();
    let values = fields.filter(|it| it[0] == name).map(|it| it[1].as_str().unwrap());
    values.collect::<Vec<_>>().join("|")
}

/// Fields: AuthorizationPolicy spec.action, spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_by_grpc_allows_and_denies_in_its_own_words() {
    let asking = Asking::start().await;
    asking.asks("grpc", paths(&["/echo*", "/status/*"])).await;
    // What no rule matches nobody is asked about.
    assert_eq!(asking.call("/free", "deny", &[]).await.status, 200);
    assert_eq!(asking.grpc.asked().len(), 0);

    let sent =
        [("x-user", "mallory"), ("x-secret", "s"), ("x-if-absent", "caller"), ("x-own", "1")];
    let allowed = asking.call("/echo?token=t&a=b", "allow", &sent).await;
    assert_eq!((allowed.status, allowed.header("x-checked")), (200, Some("yes")));
    for (name, value) in [
        ("x-user", "ann"),
        ("x-secret", ""),
        ("x-if-absent", "caller"),
        ("x-if-present", ""),
        ("x-own", "1"),
    ] {
        assert_eq!(seen(&allowed, name), value, "{name}");
    }
    assert_eq!(allowed.json()["target"], "/echo?a=b&tenant=blue");

    let denied = asking.call("/echo", "deny", &[]).await;
    assert_eq!((denied.status, denied.text().as_str()), (401, "who are you?"));
    assert_eq!(denied.header("www-authenticate"), Some("Basic realm=\"mesh\""));
    // Without words of its own.
    let denied = asking.call("/echo", "nothing", &[]).await;
    assert_eq!((denied.status, denied.text().as_str()), (403, ""));
    assert_eq!(asking.call("/echo", "bare", &[]).await.status, 200);
    assert_eq!(asking.world.app.requests(), 3);
    assert_eq!(asking.grpc.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_by_grpc_is_told_who_asks_for_what() {
    let asking = Asking::start().await;
    asking.asks("grpc", paths(&["/status/*"])).await;
    let sent = [("X-Two", "a"), ("x-two", "b"), ("x-request-id", "7")];
    assert_eq!(asking.call("/status/204?q=%20", "bare", &sent).await.status, 204);
    let [asked] = &asking.grpc.asked()[..] else { panic!("one question") };
    let attributes = asked.attributes.as_ref().unwrap();
    let (source, destination) =
        (attributes.source.as_ref().unwrap(), attributes.destination.as_ref().unwrap());
    assert_eq!(source.principal, "spiffe://cluster.local/ns/default/sa/client");
    assert!(destination.principal.starts_with("spiffe://cluster.local/ns/default/sa/"));
    let address = format!("{:?}", source.address);
    assert!(address.contains("127.0.0.1"), "{address}");
    let address = format!("{:?}", destination.address);
    assert!(address.contains(&asking.world.web.inbound.port().to_string()), "{address}");
    let request = attributes.request.as_ref().unwrap();
    assert!(request.time.as_ref().unwrap().seconds > 1_600_000_000);
    let http = request.http.as_ref().unwrap();
    assert_eq!(
        (http.method.as_str(), http.path.as_str(), http.scheme.as_str()),
        ("GET", "/status/204?q=%20", "http")
    );
    assert_eq!((http.host.as_str(), http.size, http.id.as_str()), ("web", 0, "7"));
    assert_eq!((http.query.as_str(), http.fragment.as_str()), ("", ""));
    for (name, value) in [
        ("x-two", "a,b"),
        (":path", "/status/204?q=%20"),
        (":method", "GET"),
        (":authority", "web"),
        ("x-ask", "bare"),
    ] {
        assert_eq!(http.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(http.headers["x-forwarded-client-cert"].contains("sa/client"));
    assert!(http.protocol.starts_with("HTTP/"), "{}", http.protocol);
}

/// Fields: AuthorizationPolicy spec.action
#[tokio::test(flavor = "multi_thread")]
async fn what_an_authorizer_allows_is_judged_by_the_other_policies() {
    let asking = Asking::start().await;
    let by_user = json!([{"when": [{"key": "request.headers[x-user]", "values": ["ann"]}]}]);
    // By what the authorizer has made of the request.
    for (policies, expected) in [
        (vec![custom("grpc", paths(&["/a"])), for_web("DENY", by_user.clone())], [403, 200]),
        (vec![custom("grpc", paths(&["/a"])), for_web("ALLOW", by_user.clone())], [200, 403]),
        (vec![custom("grpc", json!([])), for_web("ALLOW", by_user)], [403, 403]),
    ] {
        asking.world.specs(&policies).await;
        let statuses =
            [asking.call("/a", "allow", &[]).await, asking.call("/b", "allow", &[]).await];
        assert_eq!(statuses.map(|it| it.status), expected, "{policies:?}");
    }
}
