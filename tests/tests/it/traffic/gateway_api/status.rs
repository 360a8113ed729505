//! What `status` tells of routes (`RouteParentStatus` of the Gateway API).

use meltemi_tests::{Http1, Mesh, eventually, within};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

use super::{HELLO, route};

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default";

/// A mesh with services `hello` and `bye` of port 80, which need no instances for this.
async fn mesh() -> Mesh {
    let mesh = Mesh::start().await;
    for (namespace, name) in [("default", "hello"), ("default", "bye"), ("far", "away")] {
        mesh.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}\n---\n\
             {{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}},
              spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}}}"
        ))
        .await;
    }
    mesh
}

/// Waits until a route's first parent has these conditions, as `Accepted/ResolvedRefs` with their reasons; the route.
async fn told(mesh: &Mesh, kind: &str, name: &str, accepted: &str, resolved: &str) -> Value {
    eventually(&format!("{name}: {accepted} {resolved}"), async || {
        let (_, route) = mesh.api().get(&format!("{ROUTES}/{kind}/{name}")).await;
        let seen = conditions(&route["status"]["parents"][0]);
        (seen == [accepted, resolved]).then_some(()).ok_or(format!("{route}"))?;
        Ok(route)
    })
    .await
}

/// The reasons of `Accepted` and `ResolvedRefs`, with a `!` before those that do not hold.
fn conditions(parent: &Value) -> [String; 2] {
    ["Accepted", "ResolvedRefs"].map(|kind| {
        let conditions = parent["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.iter().find(|it| it["type"] == kind);
        let word = |it: &Value| {
            let reason = it["reason"].as_str().unwrap_or_default();
            format!("{}{reason}", if it["status"] == "True" { "" } else { "!" })
        };
        condition.map(word).unwrap_or_default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_parent_of_the_mesh_is_told_of() {
    let mesh = mesh().await;
    let parents = "{group: '', kind: Service, name: hello, port: 80},
        {group: '', kind: Service, name: hello, port: 81},
        {group: '', kind: Service, name: nobody},
        {name: edge}";
    let rules = "{backendRefs: [{name: bye, port: 80}]}";
    mesh.apply(&route("HTTPRoute", "many", "default", parents, rules)).await;
    let many = told(&mesh, "httproutes", "many", "Accepted", "ResolvedRefs").await;
    let told_of = many["status"]["parents"].as_array().unwrap();
    assert_eq!(told_of.len(), 3, "of a gateway its controller tells: {many}");
    for (at, accepted) in ["Accepted", "!NoMatchingParent", "!NoMatchingParent"].iter().enumerate()
    {
        let parent = &told_of[at];
        assert_eq!(parent["parentRef"], many["spec"]["parentRefs"][at]);
        assert_eq!(parent["controllerName"], "meltemi.io/mesh-controller");
        assert_eq!(conditions(parent), [accepted, "ResolvedRefs"]);
        for condition in parent["conditions"].as_array().unwrap() {
            assert_eq!(condition["observedGeneration"], 1, "{condition}");
            assert!(condition["lastTransitionTime"].is_string(), "{condition}");
        }
    }
    assert_eq!(many["metadata"]["generation"], 1, "a status is no change of the route");
    // No service of that name becomes one.
    mesh.apply(
        "{apiVersion: v1, kind: Service, metadata: {name: nobody},
          spec: {selector: {app: nobody}, ports: [{name: http, port: 80}]}}",
    )
    .await;
    eventually("the third parent is there", async || {
        let (_, route) = mesh.api().get(&format!("{ROUTES}/httproutes/many")).await;
        let seen = conditions(&route["status"]["parents"][2]);
        (seen[0] == "Accepted").then_some(()).ok_or(format!("{route}"))
    })
    .await;
    // Attached to a gateway alone, it is no more ours to tell of.
    mesh.apply(&route("HTTPRoute", "many", "default", "{name: edge}", rules)).await;
    eventually("it is left", async || {
        let (_, route) = mesh.api().get(&format!("{ROUTES}/httproutes/many")).await;
        (route["status"]["parents"] == json!([])).then_some(()).ok_or(format!("{route}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_forbidden_or_not_to_be_had_is_told() {
    let mesh = mesh().await;
    let filter = "filters: [{type: ExtensionRef, extensionRef: {group: a.io, kind: B, name: c}}]";
    let away = "{name: away, namespace: far, port: 80}";
    for (rules, accepted, resolved) in [
        ("{backendRefs: [{name: bye, port: 80}]}", "Accepted", "ResolvedRefs"),
        ("{backendRefs: [{name: bye, port: 81}]}", "Accepted", "!BackendNotFound"),
        ("{backendRefs: [{name: nobody, port: 80}]}", "Accepted", "!BackendNotFound"),
        (
            "{backendRefs: [{group: a.io, kind: Bucket, name: b, port: 80}]}",
            "Accepted",
            "!InvalidKind",
        ),
        (&format!("{{{filter}}}"), "!UnsupportedValue", "ResolvedRefs"),
        (&format!("{{backendRefs: [{away}]}}"), "Accepted", "!RefNotPermitted"),
    ] {
        mesh.apply(&route("HTTPRoute", "one", "default", HELLO, rules)).await;
        told(&mesh, "httproutes", "one", accepted, resolved).await;
    }
    mesh.apply(
        "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant,
          metadata: {name: it, namespace: far}, spec: {
            from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}],
            to: [{group: '', kind: Service}]}}",
    )
    .await;
    told(&mesh, "httproutes", "one", "Accepted", "ResolvedRefs").await;
    let gone = mesh.command(&["delete", "service", "away", "-n", "far"], "").await;
    assert_eq!(gone.code, Some(0), "{gone}");
    told(&mesh, "httproutes", "one", "Accepted", "!BackendNotFound").await;
    // Of two kinds for one port the more special counts.
    let rules = "{backendRefs: [{name: hello, port: 80}]}";
    mesh.apply(&route("GRPCRoute", "calls", "default", HELLO, rules)).await;
    told(&mesh, "grpcroutes", "calls", "Accepted", "ResolvedRefs").await;
    told(&mesh, "httproutes", "one", "!Conflicted", "!BackendNotFound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_comes_to_those_who_watch() {
    let mesh = mesh().await;
    let (_, list) = mesh.api().get(&format!("{ROUTES}/httproutes")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Http1::connect(mesh.addresses().api).await;
    watch
        .send(format!(
            "GET {ROUTES}/httproutes?watch=true&resourceVersion={version} HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {}\r\n\r\n",
            mesh.api().token()
        ))
        .await;
    let rules = "{backendRefs: [{name: bye, port: 80}]}";
    mesh.apply(&route("HTTPRoute", "one", "default", HELLO, rules)).await;
    let (mut events, mut seen) = (Vec::new(), String::new());
    while events.len() < 2 {
        let mut line = String::new();
        let length = within("an event", watch.stream().read_line(&mut line)).await.unwrap();
        seen.push_str(&line);
        assert!(length > 0, "the watch has ended: {seen}");
        // Between the events stand the head and the lengths of the chunks.
        events.extend(serde_json::from_str::<Value>(&line).ok().filter(Value::is_object));
    }
    assert_eq!(events[0]["type"], "ADDED");
    assert!(events[0]["object"]["status"].is_null(), "{}", events[0]);
    assert_eq!(events[1]["type"], "MODIFIED");
    assert_eq!(
        conditions(&events[1]["object"]["status"]["parents"][0]),
        ["Accepted", "ResolvedRefs"]
    );
    let version = |event: &Value| {
        let text = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        text.parse::<u64>().unwrap()
    };
    assert!(version(&events[0]) < version(&events[1]));
    assert_eq!(events[1]["object"]["metadata"]["generation"], 1);
    // The same once more is no change, and tells nobody anything.
    let again = mesh
        .command(&["apply", "-f", "-"], &route("HTTPRoute", "one", "default", HELLO, rules))
        .await;
    assert!(again.stdout.contains("unchanged"), "{again}");
}
