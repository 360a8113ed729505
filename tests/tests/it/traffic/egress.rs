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

/// Describes applications of this host by the host's own address, and which of their ports there are.
async fn describe_by_name(mesh: &Mesh, ports: &[u16]) {
    let port = |port: &u16| format!("{{number: {port}, name: http-{port}, protocol: HTTP}}");
    let ports: Vec<_> = ports.iter().map(port).collect();
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
          spec: {{hosts: ['127.0.0.1'], location: MESH_EXTERNAL, resolution: NONE, ports: [{}]}}}}",
        ports.join(", ")
    ))
    .await;
}

/// Fields: ServiceEntry spec.resolution, DestinationRule spec.trafficPolicy.connectionPool.http.http2MaxRequests
#[tokio::test(flavor = "multi_thread")]
async fn limits_and_pools_are_for_hosts_too_of_which_only_the_name_is_known() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("shop").await;
    describe_by_name(&mesh, &[app.port()]).await;
    let client = mesh.client().await;
    let base = format!("http://127.0.0.1:{}", app.port());
    client.until("it answers", &base, |it| it.status == 200).await;
    let (connections, requests) = (app.connections(), app.requests());
    let mut calls = client.http().await;
    for _ in 0..20 {
        assert_eq!(calls.get(&base).await.status, 200);
    }
    assert_eq!(app.requests(), requests + 20);
    // One for each of the sidecar's workers at most.
    let opened = app.connections() - connections;
    assert!(opened < 10, "{opened} connections for 20 requests");
    let one = "{host: '127.0.0.1', trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}";
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: shop}}, spec: {one}}}"
    ))
    .await;
    let (mut held, hold) = (Vec::new(), format!("{base}/hold"));
    // The first that is refused shows that the rule has come.
    let refused = eventually("one is refused", async || {
        let (mut calls, hold) = (client.http().await, hold.clone());
        let before = app.in_flight();
        let call = tokio::spawn(async move { calls.get(&hold).await });
        eventually("it is under way or over", async || {
            match app.in_flight() > before || call.is_finished() {
                true => Ok(()),
                false => Err("neither".to_owned()),
            }
        })
        .await;
        if call.is_finished() {
            return Ok(call.await.expect("it does not fail"));
        }
        held.push(call);
        Err(format!("{} are under way", app.in_flight()))
    })
    .await;
    assert_eq!((refused.status, refused.header("x-envoy-overloaded")), (503, Some("true")));
    app.release();
    for call in held {
        assert_eq!(call.await.expect("it does not fail").status, 200);
    }
}

/// As with Istio the port is one that nobody has described. Fields: Sidecar spec.outboundTrafficPolicy.mode
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_an_entry_has_not_is_as_if_there_were_no_entry() {
    let mesh = Mesh::start().await;
    let (shop, other) = (HttpApp::start("shop").await, HttpApp::start("other").await);
    describe_by_name(&mesh, &[shop.port()]).await;
    let client = mesh.client().await;
    let [known, unknown] = [&shop, &other].map(|app| format!("http://127.0.0.1:{}", app.port()));
    client.until("it answers", &known, |it| it.status == 200).await;
    client.until("it is called all the same", &unknown, |it| it.status == 200).await;
    mesh.apply(
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default},
          spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}}",
    )
    .await;
    let refused = client.until("it is refused", &unknown, |it| it.status == 502).await;
    assert!(refused.text().contains("REGISTRY_ONLY"), "{}", refused.text());
    client.until("what is described is called", &known, |it| it.status == 200).await;
    // A rule for the host is for its ports.
    mesh.apply(&virtual_service(
        "shop",
        "hosts: ['127.0.0.1']",
        "{route: [{destination: {host: 127.0.0.1}}], headers: {response: {set: {x-rule: 'yes'}}}}",
    ))
    .await;
    client.until("the rule has come", &known, |it| it.header("x-rule") == Some("yes")).await;
    assert_eq!(client.http().await.get(&unknown).await.status, 502);
}
