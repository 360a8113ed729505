//! What routes are attached to, and for which callers they are.

use meltemi_tests::HttpApp;

use super::{Shop, arrived, http_route, marked};
use crate::traffic::virtual_service;

/// Fields: HTTPRoute spec.parentRefs[].group, spec.parentRefs[].kind, spec.parentRefs[].name,
/// spec.parentRefs[].namespace
#[tokio::test(flavor = "multi_thread")]
async fn a_consumers_route_is_for_its_namespace_and_a_producers_for_all_others() {
    let shop = Shop::start().await;
    let near = shop.mesh.workload("near").namespace("near").proxy().await;
    let far = shop.mesh.workload("far").namespace("far").proxy().await;
    let local = HttpApp::start("local").await;
    let _local =
        shop.mesh.workload("local").namespace("far").port(local.port(), "http").proxy().await;
    shop.route("{backendRefs: [{name: one, port: 80}]}").await;
    arrived(&near, "http://hello.default", 0).await;
    arrived(&far, "http://hello.default", 0).await;
    let parent = "{group: '', kind: Service, name: hello, namespace: default}";
    let rules =
        marked(7, "{matches: [{path: {value: /local}}], backendRefs: [{name: local, port: 80}]}");
    shop.mesh.apply(&http_route("mine", "far", parent, &rules)).await;
    arrived(&far, "http://hello.default", 7).await;
    let mut calls = far.http().await;
    assert_eq!(calls.get("http://hello.default/local").await.served_by(), "local");
    assert_eq!(calls.get("http://hello.default/").await.status, 404, "nothing is merged");
    for (client, target) in
        [(&near, "http://hello.default/local"), (&shop.client, "http://hello/local")]
    {
        let response = client.http().await.get(target).await;
        assert_eq!(response.served_by(), "one-1", "{target}");
    }
}

/// Fields: HTTPRoute spec.parentRefs[].port
#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_a_port_is_for_that_port_alone() {
    let shop = Shop::start().await;
    let parent = "{group: '', kind: Service, name: hello, port: 80}";
    let rules = marked(3, "{matches: [{path: {value: /a}}], backendRefs: [{name: one, port: 80}]}");
    shop.mesh.apply(&http_route("hello", "default", parent, &rules)).await;
    arrived(&shop.client, "http://hello", 3).await;
    let own = format!("http://hello:{}/", shop.services[0].port());
    let mut calls = shop.client.http().await;
    assert_eq!(calls.get("http://hello/a").await.served_by(), "one-1");
    assert_eq!(calls.get("http://hello/").await.status, 404);
    assert_eq!(calls.get(&own).await.served_by(), "hello-1");
    assert_eq!(calls.get("http://hello:4/").await.status, 503, "there is no such port");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_entry_may_have_routes() {
    let shop = Shop::start().await;
    let app = HttpApp::start("outside").await;
    shop.mesh
        .apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: out}},
               spec: {{hosts: [out.example.com], location: MESH_EXTERNAL, resolution: STATIC,
                 ports: [{{number: 80, name: http, protocol: HTTP}}],
                 endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]}}}}",
            app.port()
        ))
        .await;
    let parent = "{group: networking.istio.io, kind: ServiceEntry, name: out}";
    let rules = marked(
        4,
        "{matches: [{path: {value: /inside}}], backendRefs: [{name: one, port: 80}]},
         {backendRefs: [{group: networking.istio.io, kind: Hostname, name: out.example.com, port: 80}]}",
    );
    shop.mesh.apply(&http_route("out", "default", parent, &rules)).await;
    arrived(&shop.client, "http://out.example.com", 4).await;
    let mut calls = shop.client.http().await;
    assert_eq!(calls.get("http://out.example.com/inside").await.served_by(), "one-1");
    assert_eq!(calls.get("http://out.example.com/").await.served_by(), "outside");
}

/// In Istio routes of the caller's namespace go before a VirtualService; for other callers the older of the two counts.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_route_and_a_virtual_service_the_older_counts_for_callers_elsewhere() {
    let shop = Shop::start().await;
    let near = shop.mesh.workload("near").namespace("near").proxy().await;
    let rule = "{route: [{destination: {host: two}}]}";
    shop.mesh.apply(&virtual_service("hello", "hosts: [hello]", rule)).await;
    near.until("the older", "http://hello.default/", |it| it.served_by() == "two-1").await;
    // Times of creation are whole seconds, and of two of one second a VirtualService counts as the older.
    shop.route("{backendRefs: [{name: one, port: 80}]}").await;
    assert_eq!(shop.turns(5).await, ["one-1"; 5], "the route's own namespace");
    let response = near.http().await.get("http://hello.default/").await;
    assert_eq!(response.served_by(), "two-1");
    let told = shop.mesh.command(&["analyze"], "").await;
    assert!(told.stdout.contains("VirtualService default/hello"), "{told}");
    let deleted = shop.mesh.command(&["delete", "virtualservice", "hello"], "").await;
    assert_eq!(deleted.code, Some(0), "{deleted}");
    near.until("the route", "http://hello.default/", |it| it.served_by() == "one-1").await;
    assert_eq!(shop.turns(5).await, ["one-1"; 5]);
}

/// What is attached to a Gateway has no effect, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_a_gateway_is_stored_and_told() {
    let shop = Shop::start().await;
    shop.route("{backendRefs: [{name: one, port: 80}]}").await;
    let rules = "{backendRefs: [{name: two, port: 80}]}";
    let yaml = http_route("edge", "default", "{name: edge}", rules);
    let applied = shop.mesh.command(&["apply", "-f", "-"], &yaml).await;
    let told = format!("{applied}");
    assert!(applied.code == Some(0) && told.contains("spec.parentRefs[0]"), "{told}");
    shop.route("{backendRefs: [{name: one, port: 80}]}").await;
    assert_eq!(shop.turns(5).await, ["one-1"; 5]);
}
