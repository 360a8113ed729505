//! What entries say of hosts and endpoints besides where they are.

use meltemi_tests::{HttpApp, Mesh, Response, eventually};
use serde_json::json;

use super::shop::{Shop, apps};

/// Fields: ServiceEntry spec.addresses[], spec.ports[].protocol, spec.ports[].targetPort
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_called_by_its_address_and_at_the_ports_that_its_endpoints_have() {
    let mesh = Mesh::start().await;
    let apps = [HttpApp::start("one").await, HttpApp::start("two").await];
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
          spec: {{hosts: [shop.example.com], addresses: [240.7.7.7], resolution: STATIC,
            ports: [{{number: 80, name: one, protocol: HTTP, targetPort: {}}},
              {{number: 81, name: two, protocol: HTTP2, targetPort: {}}}],
            endpoints: [{{address: 127.0.0.1}}]}}}}",
        apps[0].port(),
        apps[1].port()
    ))
    .await;
    let client = mesh.client().await;
    for host in ["shop.example.com", "240.7.7.7"] {
        for (port, name, version) in [("", "one", "HTTP/1.1"), (":81", "two", "HTTP/2.0")] {
            let target = format!("http://{host}{port}/echo");
            let response = client.until("it is known", &target, |it| it.status == 200).await;
            let seen = response.json();
            assert_eq!(
                (response.served_by(), &seen["version"]),
                (name, &version.into()),
                "{target}"
            );
        }
    }
}

/// Fields: ServiceEntry spec.hosts[]
#[tokio::test(flavor = "multi_thread")]
async fn short_names_of_a_service_stay_its_own_whatever_another_namespace_writes() {
    let mesh = Mesh::start().await;
    let apps = apps(["web", "other"]).await;
    let _web = mesh.workload("web").port(apps[0].port(), "http").proxy().await;
    mesh.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").await;
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: web, namespace: shop}},
          spec: {{hosts: [web, web.default, web.default.svc, last.invalid], resolution: STATIC,
            ports: [{{number: {0}, name: http, protocol: HTTP}}],
            endpoints: [{{address: 127.0.0.1, ports: {{http: {1}}}}}]}}}}",
        apps[0].port(),
        apps[1].port()
    ))
    .await;
    let client = mesh.client().await;
    let known = format!("http://last.invalid:{}/", apps[0].port());
    client.until("the entry is known", &known, |it| it.status == 200).await;
    for host in ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local"] {
        let target = format!("http://{host}:{}/", apps[0].port());
        let response = client.until("it is called", &target, |it| it.status == 200).await;
        assert_eq!(response.served_by(), "web", "{host}");
    }
}

/// Fields: ServiceEntry spec.exportTo[]
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_known_in_the_namespaces_that_it_is_for() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    for (name, to) in [("own", "'.'"), ("all", "'*'")] {
        mesh.apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}}},
              spec: {{hosts: [{name}.invalid], exportTo: [{to}], resolution: STATIC,
                ports: [{{number: 80, name: http, protocol: HTTP}}],
                endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]}}}}",
            app.port()
        ))
        .await;
    }
    let near = mesh.client().await;
    let far = mesh.workload("far").namespace("far").proxy().await;
    for (client, of_own, of_all) in [(near, true, true), (far, false, true)] {
        client.until("it is known", "http://all.invalid/", |it| (it.status == 200) == of_all).await;
        let response = client.http().await.get("http://own.invalid/").await;
        assert_eq!(response.status == 200, of_own, "{}", response.text());
    }
}

/// Fields: ServiceEntry spec.exportTo[]
#[tokio::test(flavor = "multi_thread")]
async fn namespaces_may_each_have_an_entry_of_their_own_for_a_host() {
    let mesh = Mesh::start().await;
    let apps = apps(["default", "far", "all"]).await;
    let entry = async |namespace: &str, to: &str, app: &HttpApp| {
        mesh.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}\n---\n\
             {{apiVersion: networking.istio.io/v1, kind: ServiceEntry,
              metadata: {{name: shop, namespace: {namespace}}},
              spec: {{hosts: [shop.invalid], exportTo: ['{to}'], resolution: STATIC,
                ports: [{{number: 80, name: http, protocol: HTTP}}],
                endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]}}}}",
            app.port()
        ))
        .await;
    };
    entry("default", ".", &apps[0]).await;
    entry("far", ".", &apps[1]).await;
    let near = mesh.client().await;
    let far = mesh.workload("far").namespace("far").proxy().await;
    let third = mesh.workload("third").namespace("third").proxy().await;
    let target = "http://shop.invalid/";
    for (client, name) in [(&near, "default"), (&far, "far")] {
        let is_own = |it: &Response| it.status == 200 && it.served_by() == name;
        client.until("its own is called", target, is_own).await;
    }
    assert_ne!(third.http().await.get(target).await.status, 200, "nobody shows it one");

    // Everybody's is for those who have none.
    entry("open", "*", &apps[2]).await;
    let served_by =
        |name: &'static str| move |it: &Response| it.status == 200 && it.served_by() == name;
    third.until("everybody's is called", target, served_by("all")).await;
    for (client, name) in [(&near, "default"), (&far, "far")] {
        assert_eq!(client.http().await.get(target).await.served_by(), name);
    }
    // Another endpoint of one of them, then none of its own.
    let moved = HttpApp::start("moved").await;
    entry("far", ".", &moved).await;
    far.until("it has moved", target, served_by("moved")).await;
    assert_eq!(near.http().await.get(target).await.served_by(), "default");
    let gone = mesh.command(&["delete", "serviceentry", "shop", "-n", "far"], "").await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    far.until("everybody's is called", target, served_by("all")).await;
    assert_eq!(near.http().await.get(target).await.served_by(), "default");
}

const FAST: &str = "outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 300s,
    maxEjectionPercent: 100}";

/// Fields: ServiceEntry spec.endpoints[].network
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_the_callers_network_go_before() {
    let shop = Shop::start(&["topology.istio.io/network=n1"]).await;
    let apps = apps(["far", "near"]).await;
    shop.endpoints(&[(apps[0].port(), "network: n2"), (apps[1].port(), "network: n1")]).await;
    let setting = "localityLbSetting: {failoverPriority: [topology.istio.io/network]}";
    shop.policy(&format!("{{{FAST}, loadBalancer: {{{setting}}}}}")).await;
    assert_eq!(shop.turns(20).await, ["near"; 20]);
}

/// Fields: WorkloadEntry spec.network
#[tokio::test(flavor = "multi_thread")]
async fn workload_entries_of_the_callers_network_go_before() {
    let shop = Shop::start(&["topology.istio.io/network=n1"]).await;
    let apps = apps(["far", "near"]).await;
    for (app, network) in apps.iter().zip(["n2", "n1"]) {
        shop.mesh
            .apply(&format!(
                "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: {network}}},
                  spec: {{address: 127.0.0.1, ports: {{http: {}}}, labels: {{app: shop}}, network: {network}}}}}",
                app.port()
            ))
            .await;
    }
    shop.entry("workloadSelector: {labels: {app: shop}}").await;
    let setting = "localityLbSetting: {failoverPriority: [topology.istio.io/network]}";
    shop.policy(&format!("{{{FAST}, loadBalancer: {{{setting}}}}}")).await;
    eventually("both are endpoints", async || {
        let turns = shop.turns(10).await;
        turns.iter().all(|it| it == "near").then_some(()).ok_or(format!("{turns:?}"))
    })
    .await;
}

/// Fields: ServiceEntry spec.endpoints[].serviceAccount
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_within_an_entry_must_prove_its_service_account() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("shop").await;
    // An endpoint in an entry cannot say where its sidecar listens: it is the usual port. Each process that runs this
    // has an address of its own.
    let id = std::process::id();
    let address = format!("127.{}.{}.{}", 64 + (id >> 16 & 63), id >> 8 & 255, id & 255);
    let sidecar = mesh
        .workload("shop")
        .port(app.port(), "http")
        .flag("--service-account", "shop")
        .flag("--inbound", &format!("{address}:15006"))
        .proxy()
        .await;
    assert_eq!(sidecar.inbound.to_string(), format!("{address}:15006"));
    let client = mesh.client().await;
    for (account, expected) in [("somebody-else", 503), ("shop", 200)] {
        // Of a wildcard TLS names no host that the called sidecar would have to know.
        mesh.apply(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: shop}},
              spec: {{hosts: ['*.shop.example'], location: MESH_INTERNAL, resolution: STATIC,
                ports: [{{number: 80, name: http, protocol: HTTP}}],
                endpoints: [{{address: {address}, ports: {{http: {}}}, serviceAccount: {account},
                  labels: {{security.istio.io/tlsMode: istio}}}}]}}}}",
            app.port()
        ))
        .await;
        let target = "http://a.shop.example/echo";
        let response =
            client.until("the entry has arrived", target, |it| it.status == expected).await;
        let text = response.text();
        let said = if expected == 200 { "x-forwarded-client-cert" } else { "sa/shop" };
        assert!(text.contains(said), "{text}");
    }
}

/// Fields: WorkloadEntry spec.serviceAccount
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_must_prove_the_service_account_of_its_entry() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    client.until("it is called", "http://hello/", |it| it.status == 200).await;
    let name = hello.instances[0].1.workload.split_once('/').expect("NAMESPACE/NAME").1;
    let path = format!("/apis/networking.istio.io/v1/namespaces/default/workloadentries/{name}");
    let (api, kind) = (mesh.api(), "application/merge-patch+json");
    let (_, entry) = api.get(&path).await;
    let own = entry["spec"]["serviceAccount"].as_str().expect("a service account").to_owned();
    for (account, expected) in [("somebody-else", 503), (own.as_str(), 200)] {
        let patch = json!({"spec": {"serviceAccount": account}});
        let (status, answer) = api.call("PATCH", &path, kind, &patch).await;
        assert_eq!(status, 200, "{answer}");
        client.until("the entry has arrived", "http://hello/", |it| it.status == expected).await;
    }
}
