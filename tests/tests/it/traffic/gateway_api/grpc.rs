//! GRPCRoute: calls go by service, method and headers.

use meltemi_tests::calls::Ask;
use meltemi_tests::calls::calls_client::CallsClient;
use meltemi_tests::{GrpcApp, HttpApp, Mesh, Sidecar, client, eventually, free_port};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::route;

/// Services `calls`, `one` and `two` of gRPC, and a caller of the first.
struct World {
    mesh: Mesh,
    calls: CallsClient<Channel>,
    apps: Vec<(GrpcApp, Sidecar)>,
    _client: Sidecar,
}

impl World {
    async fn start() -> World {
        let mesh = Mesh::start().await;
        let mut apps = Vec::new();
        for name in ["calls", "one", "two"] {
            let app = GrpcApp::start(name).await;
            let sidecar = mesh.workload(name).port(app.port(), "grpc").proxy().await;
            apps.push((app, sidecar));
        }
        let listen = free_port();
        let client = mesh.workload("client").upstream("calls:80", listen).proxy().await;
        let calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
        World { mesh, calls, apps, _client: client }
    }

    async fn apply(&self, kind: &str, name: &str, rules: &str) {
        self.mesh.apply(&route(kind, name, "default", PARENT, rules)).await;
    }

    /// Who serves a unary call; the code where nobody does.
    async fn unary(&self, header: Option<&'static str>) -> Result<String, Code> {
        let mut request = Request::new(Ask::default());
        if let Some(value) = header {
            request.metadata_mut().insert("x-kind", value.parse().unwrap());
        }
        let answer = self.calls.clone().unary(request).await.map_err(|status| status.code())?;
        Ok(answer.into_inner().served_by)
    }

    /// Who serves a call whose answers are a stream.
    async fn stream(&self) -> Result<String, Code> {
        let ask = Ask { answers: 1, ..Ask::default() };
        let answers = self.calls.clone().server_stream(ask).await;
        let mut answers = answers.map_err(|status| status.code())?.into_inner();
        let answer = answers.message().await.map_err(|status| status.code())?;
        Ok(answer.expect("one was asked for").served_by)
    }

    /// Waits until a unary call is served so.
    async fn until(&self, expected: Result<&str, Code>) {
        let expected = expected.map(str::to_owned);
        eventually("the routes have arrived", async || {
            let found = self.unary(None).await;
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

const PARENT: &str = "{group: '', kind: Service, name: calls}";
const CALLS: &str = "service: meltemi.test.v1.Calls";

/// Fields: GRPCRoute spec.parentRefs[].group, spec.parentRefs[].kind, spec.parentRefs[].name,
/// spec.rules[].matches[].method.service, spec.rules[].matches[].method.method, spec.rules[].matches[].method.type,
/// spec.rules[].matches[].headers[].name, spec.rules[].matches[].headers[].type,
/// spec.rules[].matches[].headers[].value, spec.rules[].backendRefs[].name, spec.rules[].backendRefs[].port
#[tokio::test(flavor = "multi_thread")]
async fn calls_go_by_service_method_and_headers() {
    let world = World::start().await;
    let to = |matches: &str, who: &str| {
        format!("{{matches: [{matches}], backendRefs: [{{name: {who}, port: 80}}]}}")
    };
    let rules = [
        to(&format!("{{method: {{{CALLS}, method: Unary}}}}"), "one"),
        to(&format!("{{method: {{{CALLS}}}, headers: [{{name: X-Kind, value: b}}]}}"), "one"),
        to("{method: {type: RegularExpression, method: 'Server.*'}}", "two"),
        to(
            &format!(
                "{{method: {{{CALLS}, method: Unary}}, headers: [{{name: x-kind, value: b}}]}}"
            ),
            "two",
        ),
    ];
    world.apply("GRPCRoute", "calls", &rules.join(", ")).await;
    world.until(Ok("one")).await;
    assert_eq!(world.unary(Some("b")).await, Ok("two".to_owned()));
    assert_eq!(world.unary(Some("c")).await, Ok("one".to_owned()));
    assert_eq!(world.stream().await, Ok("two".to_owned()));
    let asks = tokio_stream::iter([Ask::default()]);
    let status = world.calls.clone().client_stream(asks).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "no rule is for it: {status}");
}

/// Fields: GRPCRoute spec.rules[].backendRefs[].weight
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_there_is_not_is_unavailable() {
    let world = World::start().await;
    world.apply("GRPCRoute", "calls", "{backendRefs: [{name: nowhere, port: 80}]}").await;
    world.until(Err(Code::Unavailable)).await;
    world
        .apply(
            "GRPCRoute",
            "calls",
            "{backendRefs: [{name: one, port: 80, weight: 1}, {name: two, port: 80, weight: 0}]}",
        )
        .await;
    world.until(Ok("one")).await;
    for _ in 0..10 {
        assert_eq!(world.unary(None).await, Ok("one".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_route_goes_before_an_http_route() {
    let world = World::start().await;
    world.apply("HTTPRoute", "wide", "{backendRefs: [{name: one, port: 80}]}").await;
    world.until(Ok("one")).await;
    world.apply("GRPCRoute", "calls", "{backendRefs: [{name: two, port: 80}]}").await;
    world.until(Ok("two")).await;
    let told = world.mesh.command(&["analyze"], "").await;
    assert!(told.stdout.contains("GRPCRoute default/calls"), "{told}");
}

/// Fields: GRPCRoute spec.rules[].filters[].type,
/// spec.rules[].filters[].requestHeaderModifier.set[].name, spec.rules[].filters[].requestHeaderModifier.set[].value,
/// spec.rules[].filters[].requestHeaderModifier.add[].name, spec.rules[].filters[].requestHeaderModifier.add[].value,
/// spec.rules[].filters[].requestHeaderModifier.remove[],
/// spec.rules[].filters[].responseHeaderModifier.set[].name, spec.rules[].filters[].responseHeaderModifier.set[].value,
/// spec.rules[].filters[].responseHeaderModifier.add[].name, spec.rules[].filters[].responseHeaderModifier.add[].value,
/// spec.rules[].filters[].responseHeaderModifier.remove[], spec.rules[].backendRefs[].filters[].type,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.set[].name,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.set[].value,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.add[].name,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.add[].value,
/// spec.rules[].backendRefs[].filters[].requestHeaderModifier.remove[],
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.set[].name,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.set[].value,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.add[].name,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.add[].value,
/// spec.rules[].backendRefs[].filters[].responseHeaderModifier.remove[]
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_calls_and_answers_are_changed() {
    let world = World::start().await;
    let change = |side: &str, name: &str, prefix: &str| {
        format!(
            "{{type: {side}HeaderModifier, {name}HeaderModifier: {{set: [{{name: {prefix}-set, value: rule}}],
               add: [{{name: {prefix}-add, value: rule}}], remove: [{prefix}-gone]}}}}"
        )
    };
    let filters = |prefix: &str| {
        let request = change("Request", "request", &format!("x-own-{prefix}"));
        format!("[{request}, {}]", change("Response", "response", &format!("x-{prefix}")))
    };
    let rule = format!(
        "{{filters: {}, backendRefs: [{{name: one, port: 80, filters: {}}}]}}",
        filters("rule"),
        filters("backend").replace("[x-backend-gone]", "[date]"),
    );
    world.apply("GRPCRoute", "calls", &rule).await;
    world.until(Ok("one")).await;
    let mut request = Request::new(Ask::default());
    for name in ["x-own-rule-set", "x-own-rule-gone", "x-own-backend-add", "x-own-backend-gone"] {
        request.metadata_mut().insert(name, "caller".parse().unwrap());
    }
    let answer = world.calls.clone().unary(request).await.unwrap();
    for (name, expected) in [
        ("x-rule-set", Some("rule")),
        ("x-rule-add", Some("rule")),
        ("x-backend-set", Some("rule")),
        ("x-backend-add", Some("rule")),
        ("date", None),
    ] {
        let found = answer.metadata().get(name).map(|it| it.to_str().unwrap());
        assert_eq!(found, expected, "{name}");
    }
    let expected = [
        "x-own-backend-add: caller",
        "x-own-backend-add: rule",
        "x-own-backend-set: rule",
        "x-own-rule-add: rule",
        "x-own-rule-set: rule",
    ];
    assert_eq!(answer.into_inner().own, expected);
}

/// Fields: GRPCRoute spec.rules[].filters[].requestMirror.backendRef.name,
/// spec.rules[].filters[].requestMirror.backendRef.port, spec.rules[].filters[].requestMirror.backendRef.group,
/// spec.rules[].filters[].requestMirror.backendRef.kind, spec.rules[].filters[].requestMirror.backendRef.namespace,
/// spec.rules[].filters[].requestMirror.percent, spec.rules[].filters[].requestMirror.fraction.numerator,
/// spec.rules[].filters[].requestMirror.fraction.denominator
#[tokio::test(flavor = "multi_thread")]
async fn others_get_copies_of_calls_where_a_grant_allows_it() {
    let world = World::start().await;
    let app = HttpApp::start("copies").await;
    let copies = world.mesh.workload("copies").namespace("far").port(app.port(), "grpc");
    let _copies = copies.proxy().await;
    let rule = |method: &str, share: &str| {
        format!(
            "{{matches: [{{method: {{{CALLS}, method: {method}}}}}], backendRefs: [{{name: one, port: 80}}],
               filters: [{{type: RequestMirror, requestMirror: {{
                 backendRef: {{group: '', kind: Service, name: copies, namespace: far, port: 80}}{share}}}}}]}}"
        )
    };
    let none = rule("ServerStream", ", percent: 0");
    let all = rule("Unary", ", fraction: {numerator: 4, denominator: 4}");
    world.apply("GRPCRoute", "calls", &format!("{none}, {all}")).await;
    world.until(Ok("one")).await;
    world
        .mesh
        .apply(
            "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant,
              metadata: {name: it, namespace: far}, spec: {
              from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: default}],
              to: [{group: '', kind: Service, name: copies}]}}",
        )
        .await;
    assert_eq!(world.stream().await, Ok("one".to_owned()));
    eventually("a copy has come", async || {
        assert_eq!(world.unary(None).await, Ok("one".to_owned()));
        if app.requests() > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let before = app.requests();
    for _ in 0..10 {
        assert_eq!(world.stream().await, Ok("one".to_owned()));
    }
    assert_eq!(world.unary(None).await, Ok("one".to_owned()));
    eventually("the last copy has come", async || match app.requests() - before {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    })
    .await;
    assert!(app.requests() - before < 10, "a stream's calls are not copied");
}

/// Fields: GRPCRoute spec.parentRefs[].namespace, spec.parentRefs[].port, spec.rules[].backendRefs[].namespace,
/// spec.rules[].backendRefs[].group, spec.rules[].backendRefs[].kind
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_route_is_for_its_callers_and_its_port() {
    let world = World::start().await;
    let listen = [free_port(), free_port()];
    let port = world.apps[0].0.port();
    let far = world.mesh.workload("far").namespace("far");
    let far = far.upstream("calls.default:80", listen[0]);
    let _far = far.upstream(&format!("calls.default:{port}"), listen[1]).proxy().await;
    let parent = "{group: '', kind: Service, name: calls, namespace: default, port: 80}";
    let one =
        "{backendRefs: [{group: '', kind: Service, name: one, namespace: default, port: 80}]}";
    world.mesh.apply(&route("GRPCRoute", "calls", "far", parent, one)).await;
    let of = async |listen: u16| {
        let calls = client::grpc(([127, 0, 0, 1], listen).into()).await;
        let answer = { calls }.unary(Ask::default()).await;
        answer.map(|it| it.into_inner().served_by).map_err(|status| status.code())
    };
    eventually("the route has come", async || match of(listen[0]).await {
        Err(Code::Unavailable) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(of(listen[1]).await, Ok("calls".to_owned()), "another port");
    assert_eq!(world.unary(None).await, Ok("calls".to_owned()), "another namespace");
    world
        .mesh
        .apply(
            "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant,
              metadata: {name: it}, spec: {
              from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: far}],
              to: [{group: '', kind: Service}]}}",
        )
        .await;
    eventually("the grant has come", async || match of(listen[0]).await {
        Ok(who) if who == "one" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
