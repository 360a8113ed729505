//! Backends that there are not, or that a route may not call.

use meltemi_tests::eventually;

use super::{Shop, count, has_share};

/// Fields: HTTPRoute spec.rules[].backendRefs[].kind, spec.rules[].backendRefs[].group
#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_a_backend_that_there_is_not_gets_an_error() {
    let shop = Shop::start().await;
    let rule = |path: &str, backend: &str| {
        format!("{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{backend}]}}")
    };
    shop.route(
        &[
            rule("/", "{name: one, port: 80, weight: 3}, {name: nowhere, port: 80}"),
            rule("/nobody", "{name: nowhere, port: 80}"),
            rule("/port", "{name: one, port: 4}"),
            rule("/kind", "{group: example.com, kind: Bucket, name: b}"),
            rule("/none", ""),
        ]
        .join(", "),
    )
    .await;
    for (path, text) in [
        ("/nobody", "nowhere.default.svc.cluster.local"),
        ("/port", "has no port 4"),
        ("/kind", "Bucket"),
        ("/none", "no backend"),
    ] {
        let response = shop.get(path).await;
        assert_eq!(response.status, 500, "{path}");
        assert!(response.text().contains(text), "{path}: {}", response.text());
    }
    has_share("errors", 0.25, 400, async || count(&shop.turns(400).await, "500")).await;
    let told = shop.mesh.command(&["analyze"], "").await;
    assert!(told.stdout.contains("there is no Service `nowhere`"), "{told}");
    let _late = shop.mesh.http_service("nowhere", 1).await;
    shop.client
        .until("it is there", "http://hello/nobody", |it| it.served_by() == "nowhere-1")
        .await;
}

/// Fields: HTTPRoute spec.rules[].backendRefs[].namespace
/// Fields: ReferenceGrant spec.from[].group, spec.from[].kind,
/// spec.from[].namespace, spec.to[].group, spec.to[].kind, spec.to[].name
#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_namespace_is_called_where_a_grant_allows_it() {
    let shop = Shop::start().await;
    let app = meltemi_tests::HttpApp::start("far").await;
    let far = shop.mesh.workload("far").namespace("far").port(app.port(), "http");
    let _far = far.proxy().await;
    shop.route("{backendRefs: [{name: far, namespace: far, port: 80}]}").await;
    let response = shop.get("/").await;
    assert_eq!(response.status, 500);
    assert!(response.text().contains("ReferenceGrant"), "{}", response.text());
    let told = shop.mesh.command(&["analyze"], "").await;
    assert!(told.stdout.contains("no ReferenceGrant of namespace far"), "{told}");
    let grant = |name: &str| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant,
               metadata: {{name: it, namespace: far}}, spec: {{
               from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}}],
               to: [{{group: '', kind: Service, name: {name}}}]}}}}"
        )
    };
    shop.mesh.apply(&grant("far")).await;
    shop.client.until("it is granted", "http://hello/", |it| it.served_by() == "far").await;
    shop.mesh.apply(&grant("other")).await;
    shop.client.until("it is granted no more", "http://hello/", |it| it.status == 500).await;
    eventually("the log says why", async || {
        let scrape = shop.client.scrape().await;
        let filter = [("response_code", "500"), ("response_flags", "NC")];
        match scrape.sum("istio_requests_total", &filter) > 0.0 {
            true => Ok(()),
            false => Err("none is counted".to_owned()),
        }
    })
    .await;
}
