//! Services outside of the mesh that a ServiceEntry describes, and rules for them.

use meltemi_tests::{HttpApp, Mesh, eventually};

use super::{answering, arrived, virtual_service};

/// Describes `shop.example.com` as an application of this host.
async fn describe(mesh: &Mesh, resolution: &str, address: &str, app: &HttpApp) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
          spec: {{hosts: [shop.example.com], location: MESH_EXTERNAL, resolution: {resolution},
            ports: [{{number: 80, name: http, protocol: HTTP}}],
            endpoints: [{{address: {address}, ports: {{http: {}}}}}]}}}}",
        app.port()
    ))
    .await;
}

/// Fields: VirtualService spec.hosts[], ServiceEntry spec.hosts[], spec.resolution, spec.ports[].number,
/// spec.ports[].name, spec.endpoints[].address, spec.endpoints[].ports.*
#[tokio::test(flavor = "multi_thread")]
async fn a_service_outside_is_called_at_its_endpoints_and_by_rules() {
    for (resolution, address) in [("STATIC", "127.0.0.1"), ("DNS", "localhost")] {
        let mesh = Mesh::start().await;
        let app = HttpApp::start("shop").await;
        describe(&mesh, resolution, address, &app).await;
        let rules = answering(
            1,
            "{match: [{uri: {prefix: /old}}], rewrite: {uri: /echo},
              headers: {request: {set: {x-way: rule}}},
              route: [{destination: {host: shop.example.com}}]},
             {match: [{uri: {prefix: /hold}}], timeout: 0.1s,
              route: [{destination: {host: shop.example.com}}]},
             {route: [{destination: {host: shop.example.com, port: {number: 80}}}]}",
        );
        mesh.apply(&virtual_service("shop", "hosts: [shop.example.com]", &rules)).await;
        let client = mesh.client().await;
        arrived(&client, "http://shop.example.com", 1).await;
        let mut calls = client.http().await;
        let plain = calls.get("http://shop.example.com/").await;
        assert_eq!((plain.status, plain.served_by()), (200, "shop"), "{}", plain.text());
        let seen = calls.get("http://shop.example.com/old/x").await.json();
        assert_eq!(seen["target"], "/echo/x", "{resolution}");
        let headers = seen["headers"].to_string();
        assert!(headers.contains(r#"["x-way","rule"]"#), "{headers}");
        assert!(headers.contains(r#"["host","shop.example.com"]"#), "{headers}");
        assert_eq!(calls.get("http://shop.example.com/hold").await.status, 504, "{resolution}");
    }
}

/// Fields: DestinationRule spec.subsets[].name, spec.subsets[].labels.*, ServiceEntry spec.endpoints[].labels.*
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_a_service_outside_are_parts_by_labels() {
    let mesh = Mesh::start().await;
    let apps = [HttpApp::start("near").await, HttpApp::start("far").await];
    mesh.apply(&format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: shop}}\n\
         spec:\n  hosts: [shop.example.com]\n  location: MESH_EXTERNAL\n  resolution: STATIC\n\
         \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints:\n\
         \x20 - {{address: 127.0.0.1, ports: {{http: {}}}, labels: {{place: near}}}}\n\
         \x20 - {{address: 127.0.0.1, ports: {{http: {}}}, labels: {{place: far}}}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: shop}}\n\
         spec: {{host: shop.example.com, subsets: [{{name: far, labels: {{place: far}}}}]}}\n",
        apps[0].port(),
        apps[1].port()
    ))
    .await;
    let route = "{route: [{destination: {host: shop.example.com, subset: far}}]}";
    let rules = answering(1, route);
    mesh.apply(&virtual_service("shop", "hosts: [shop.example.com]", &rules)).await;
    let client = mesh.client().await;
    arrived(&client, "http://shop.example.com", 1).await;
    let mut calls = client.http().await;
    for _ in 0..10 {
        assert_eq!(calls.get("http://shop.example.com/").await.served_by(), "far");
    }
    assert_eq!(apps[0].requests(), 0);
}

/// Fields: ServiceEntry spec.resolution
#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_which_only_the_name_is_known_is_called_by_all_of_a_rule() {
    let mesh = Mesh::start().await;
    let (shop, copies) = (HttpApp::start("shop").await, HttpApp::start("copies").await);
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
          spec: {{hosts: ['127.0.0.1'], location: MESH_EXTERNAL, resolution: NONE, ports: [
            {{number: {}, name: http, protocol: HTTP}}, {{number: {}, name: http-copies, protocol: HTTP}}]}}}}",
        shop.port(),
        copies.port()
    ))
    .await;
    let to_shop = "route: [{destination: {host: 127.0.0.1}}]";
    let rules = answering(
        1,
        &format!(
            "{{match: [{{uri: {{prefix: /record/hold}}}}], {to_shop},
               retries: {{attempts: 1, perTryTimeout: 0.1s, retryOn: 5xx, backoff: 1ms}}}},
             {{match: [{{uri: {{prefix: /record/201}}}}], {to_shop},
               mirror: {{host: 127.0.0.1, port: {{number: {}}}}}}},
             {{retries: {{attempts: 2, retryOn: '503', backoff: 1ms}}, {to_shop}}}",
            copies.port()
        ),
    );
    mesh.apply(&virtual_service("shop", "hosts: ['127.0.0.1']", &rules)).await;
    let client = mesh.client().await;
    let base = format!("http://127.0.0.1:{}", shop.port());
    arrived(&client, &base, 1).await;
    let mut calls = client.http().await;
    let attempts = |app: &HttpApp| -> Vec<String> {
        let recorded = app.recorded();
        recorded.iter().map(|it| it.header("x-envoy-attempt-count").to_owned()).collect()
    };
    for (method, path, status, seen) in [
        ("POST", "/record/503", 503, &["1", "2", "3"][..]),
        ("GET", "/record/500", 500, &["1"]),
        ("GET", "/record/hold", 504, &["1", "2"]),
        ("POST", "/record/201", 201, &["1"]),
    ] {
        let answer = calls.call(method, &format!("{base}{path}"), &[], b"body").await;
        assert_eq!(
            (answer.status, attempts(&shop)),
            (status, seen.iter().map(ToString::to_string).collect()),
            "{path}"
        );
    }
    let copied = eventually("the copy has come", async || {
        copies.recorded().into_iter().next().ok_or("none".to_owned())
    })
    .await;
    assert_eq!(
        (copied.body.as_str(), copied.header("host")),
        ("body", &*format!("127.0.0.1-shadow:{}", shop.port()))
    );
}
