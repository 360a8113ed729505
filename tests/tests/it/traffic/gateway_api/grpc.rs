//! GRPCRoute: calls go by service, method and headers.

use meltemi_tests::calls::Ask;
use meltemi_tests::calls::calls_client::CallsClient;
use meltemi_tests::{GrpcApp, Mesh, Sidecar, client, eventually, free_port};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::route;

/// Services `calls`, `one` and `two` of gRPC, and a caller of the first.
struct World {
    mesh: Mesh,
    calls: CallsClient<Channel>,
    _apps: Vec<(GrpcApp, Sidecar)>,
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
        World { mesh, calls, _apps: apps, _client: client }
    }

    async fn apply(&self, kind: &str, name: &str, rules: &str) {
        let parent = "{group: '', kind: Service, name: calls}";
        self.mesh.apply(&route(kind, name, "default", parent, rules)).await;
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

const CALLS: &str = "service: meltemi.test.v1.Calls";

/// Fields: GRPCRoute spec.parentRefs[].group, spec.parentRefs[].kind, spec.parentRefs[].name,
/// spec.rules[].matches[].method.service, spec.rules[].matches[].method.method, spec.rules[].matches[].method.type,
/// spec.rules[].matches[].headers[].name, spec.rules[].matches[].headers[].value,
/// spec.rules[].backendRefs[].name, spec.rules[].backendRefs[].port
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

/// Fields: GRPCRoute spec.rules[].backendRefs[].weight, spec.rules[].filters[].type,
/// spec.rules[].filters[].requestHeaderModifier.set[].name
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
