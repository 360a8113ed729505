//! What a Sidecar resource does to the workloads that it selects: whom they may call, where calls to unknown hosts go, and
//! how much comes in.

use meltemi_tests::{HttpApp, Mesh, Sidecar, TcpApp, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A Sidecar resource for the workloads with the label `tier: front`; `spec` is the rest of its specification in YAML's
/// flow style.
async fn apply(mesh: &Mesh, spec: &str) {
    mesh.apply(&format!(
        "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: front}},
          spec: {{workloadSelector: {{labels: {{tier: front}}}}, {spec}}}}}"
    ))
    .await;
}

/// A caller that the resource selects.
async fn front(mesh: &Mesh) -> Sidecar {
    mesh.workload("front").flag("--label", "tier=front").proxy().await
}

/// Fields: Sidecar spec.egress[].hosts[], Sidecar spec.workloadSelector.labels.*
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_calls_the_hosts_that_are_named_and_no_others() {
    let mesh = Mesh::start().await;
    let near = mesh.http_service("near", 1).await;
    let app = HttpApp::start("far").await;
    let _far = mesh.workload("far").namespace("far").port(app.port(), "http").proxy().await;
    let (front, other) = (front(&mesh).await, mesh.client().await);
    let targets = ["http://near", "http://far.far.svc.cluster.local"];
    for target in targets {
        front.until("all may be called", target, |it| it.status == 200).await;
    }
    for (hosts, seen) in [("./*", 0), ("far/*", 1), ("*/far.far.svc.cluster.local", 1)] {
        apply(&mesh, &format!("egress: [{{hosts: ['{hosts}']}}]")).await;
        let hidden = targets[1 - seen];
        let gone = front.until("it is hidden", hidden, |it| it.status == 503).await;
        assert!(gone.text().contains("there is no service"), "{hosts}: {}", gone.text());
        front.until("it is seen", targets[seen], |it| it.status == 200).await;
    }
    let before = (near.app(0).requests(), app.requests());
    for target in targets {
        assert_eq!(other.http().await.get(target).await.status, 200, "it is not selected");
    }
    assert_eq!((near.app(0).requests(), app.requests()), (before.0 + 1, before.1 + 1));
}

/// Fields: Sidecar spec.egress[].port.number, Sidecar spec.egress[].hosts[]
#[tokio::test(flavor = "multi_thread")]
async fn a_port_reaches_the_hosts_that_are_named_for_it() {
    let mesh = Mesh::start().await;
    let near = mesh.http_service("near", 1).await;
    let far = mesh.http_service("far", 1).await;
    let front = front(&mesh).await;
    let own = |name: &str, port: u16| format!("http://{name}:{port}/");
    let host = |name: &str| format!("./{name}.default.svc.cluster.local");
    // Port 80 is for one of them alone, all others for the other one.
    let for_80 = "port: {number: 80, protocol: HTTP, name: http}";
    let only = format!("{{{for_80}, hosts: ['{}']}}", host("near"));
    apply(&mesh, &format!("egress: [{only}, {{hosts: ['{}']}}]", host("far"))).await;
    let is_refused = |it: &meltemi_tests::Response| it.status == 503;
    front.until("not on this port", "http://far/", is_refused).await;
    let mut calls = front.http().await;
    for (target, status) in [
        ("http://near/".to_owned(), 200),
        (own("near", near.port()), 503),
        (own("far", far.port()), 200),
        ("http://far/".to_owned(), 503),
    ] {
        let answer = calls.get(&target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    let before = far.requests();
    let tunnel = "far:80";
    assert_ne!(calls.call("CONNECT", tunnel, &[("host", tunnel)], b"").await.status, 200);
    assert_eq!(far.requests(), before);
    // Without a listener for all ports there is nothing on others.
    apply(&mesh, &format!("egress: [{only}]")).await;
    front.until("no listener is for it", &own("far", far.port()), is_refused).await;
    front.until("this one stays", "http://near/", |it| it.status == 200).await;
}

/// Fields: Sidecar spec.outboundTrafficPolicy.mode
#[tokio::test(flavor = "multi_thread")]
async fn calls_to_unknown_hosts_go_out_or_are_refused() {
    let mesh = Mesh::start().await;
    let outside = HttpApp::start("outside").await;
    let (front, other) = (front(&mesh).await, mesh.client().await);
    let target = format!("http://{}", outside.address());
    front.until("it goes out", &target, |it| it.status == 200).await;
    apply(&mesh, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}").await;
    let refused = front.until("it is refused", &target, |it| it.status == 502).await;
    assert!(refused.text().contains("REGISTRY_ONLY"), "{}", refused.text());
    let before = outside.requests();
    let mut calls = front.http().await;
    let tunnel = outside.address().to_string();
    assert_eq!(calls.call("CONNECT", &tunnel, &[("host", &tunnel)], b"").await.status, 502);
    assert_eq!(outside.requests(), before);
    assert_eq!(other.http().await.get(&target).await.served_by(), "outside", "it is not selected");
    apply(&mesh, "outboundTrafficPolicy: {mode: ALLOW_ANY}").await;
    front.until("it goes out again", &target, |it| it.status == 200).await;
}

/// Fields: Sidecar spec.outboundTrafficPolicy.egressProxy.host,
/// Sidecar spec.outboundTrafficPolicy.egressProxy.port.number,
/// Sidecar spec.outboundTrafficPolicy.egressProxy.subset
#[tokio::test(flavor = "multi_thread")]
async fn calls_to_unknown_hosts_go_to_the_egress_proxy() {
    let mesh = Mesh::start().await;
    let egress = mesh.http_versions("egress", &["v1", "v2"]).await;
    let known = mesh.http_service("known", 1).await;
    let outside = HttpApp::start("outside").await;
    mesh.apply(
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: egress},
          spec: {host: egress, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}},
            subsets: [{name: v2, labels: {version: v2}}]}}",
    )
    .await;
    let (front, other) = (front(&mesh).await, mesh.client().await);
    let proxy = |port: u16, subset: &str| {
        format!(
            "outboundTrafficPolicy: {{mode: ALLOW_ANY,
               egressProxy: {{host: egress, subset: {subset}, port: {{number: {port}}}}}}}"
        )
    };
    apply(&mesh, &proxy(80, "v2")).await;
    let target = format!("http://{}/echo", outside.address());
    let is_there = |it: &meltemi_tests::Response| it.served_by() == "egress-v2";
    let seen = front.until("the egress proxy gets it", &target, is_there).await.json();
    let headers = seen["headers"].to_string();
    let host = format!(r#"["host","{}"]"#, outside.address());
    assert!(headers.contains(&host), "the authority stays: {headers}");
    let mut calls = front.http().await;
    for _ in 0..5 {
        let named = calls.get("http://nobody.invalid:8080/a?b=c").await;
        assert_eq!((named.status, named.served_by()), (200, "egress-v2"), "{}", named.text());
        assert_eq!(calls.get("http://known/").await.served_by(), "known-1");
    }
    let missing = calls.get("http://nobody.default.svc.cluster.local/").await;
    assert_eq!(missing.status, 503, "a service that is missing is not outside");
    assert_eq!((outside.requests(), egress.app(0).requests()), (0, 0));
    // The limit of the DestinationRule.
    let mut held = front.http().await;
    let held = tokio::spawn(async move { held.get("http://nobody.invalid/hold").await.status });
    eventually("one is under way", async || {
        let held = egress.app(1).in_flight();
        (held == 1).then_some(()).ok_or(held.to_string())
    })
    .await;
    let refused = calls.get("http://nobody.invalid/").await;
    assert_eq!((refused.status, refused.header("x-envoy-overloaded")), (503, Some("true")));
    egress.app(1).release();
    assert_eq!(held.await.unwrap(), 200);
    assert_eq!(other.http().await.get(&target).await.served_by(), "outside", "it is not selected");
    for (port, subset, word) in [(81, "v2", "no port 81"), (80, "v3", "subset v3")] {
        apply(&mesh, &proxy(port, subset)).await;
        let is_told = |it: &meltemi_tests::Response| it.text().contains(word);
        assert_eq!(front.until("what is wrong is told", &target, is_told).await.status, 503);
    }
    assert_eq!(known.app(0).requests(), 5);
}

/// Fields: Sidecar spec.outboundTrafficPolicy.egressProxy.host,
/// Sidecar spec.outboundTrafficPolicy.egressProxy.port.number
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_unknown_hosts_go_to_the_egress_proxy() {
    let mesh = Mesh::start().await;
    let app = TcpApp::echo().await;
    let _raw = mesh.workload("raw").port(app.port(), "tcp").proxy().await;
    let front = front(&mesh).await;
    let proxy = format!("{{host: raw, port: {{number: {}}}}}", app.port());
    apply(&mesh, &format!("outboundTrafficPolicy: {{mode: ALLOW_ANY, egressProxy: {proxy}}}"))
        .await;
    let target = "nobody.invalid:9000";
    eventually("the bytes come back", async || {
        let mut calls = front.http().await;
        let opened = calls.call("CONNECT", target, &[("host", target)], b"").await;
        assert_eq!(opened.status, 200);
        let (mut stream, mut back) = (calls.into_stream().into_inner(), [0; 6]);
        let sent = stream.write_all(b"\x00bytes").await;
        let read = stream.read_exact(&mut back).await.map(|_| back);
        match (sent, read) {
            (Ok(()), Ok(back)) if &back == b"\x00bytes" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(app.seen().ends_with(b"\x00bytes"));
}
