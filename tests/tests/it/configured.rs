//! Services that their users describe themselves, and those outside of the mesh.

use meltemi_tests::client::Http2;
use meltemi_tests::{HttpApp, Mesh, TcpApp, eventually, free_port, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_the_users_own_selects_by_labels() {
    let mesh = Mesh::start().await;
    let mut instances = Vec::new();
    for tier in ["front", "front", "back"] {
        let app = HttpApp::start(tier).await;
        let label = format!("tier={tier}");
        let workload = mesh.workload("hello").port(app.port(), "http").flag("--label", &label);
        instances.push((workload.proxy().await, app));
    }
    mesh.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n\
         spec:\n  selector: {tier: front}\n  ports: [{name: http, port: 80, targetPort: main}]\n",
    )
    .await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    eventually("the service has its endpoints", async || {
        let response = calls.get("http://shop/").await;
        (response.status == 200).then_some(()).ok_or(response.text())
    })
    .await;
    let before: Vec<_> = instances.iter().map(|(_, app)| app.requests()).collect();
    for _ in 0..10 {
        assert_eq!(calls.get("http://shop.default.svc.cluster.local/").await.status, 200);
    }
    let new = instances.iter().zip(before).map(|((_, app), before)| app.requests() - before);
    assert_eq!(new.collect::<Vec<_>>(), [5, 5, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn app_protocol_goes_before_the_ports_name() {
    let mesh = Mesh::start().await;
    let app = TcpApp::banner(b"hello\n").await;
    let _sidecar = mesh.workload("raw").port(app.port(), "tcp").proxy().await;
    mesh.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: spoken}\n\
         spec:\n  selector: {app: raw}\n\
         \x20 ports: [{name: http, appProtocol: tcp, port: 90, targetPort: main}]\n",
    )
    .await;
    let listen = free_port();
    let _client = mesh.workload("client").upstream("spoken:90", listen).proxy().await;
    let banner = eventually("the server speaks first", async || {
        let opened = TcpStream::connect(("127.0.0.1", listen)).await;
        let mut stream = opened.map_err(|error| error.to_string())?;
        let mut banner = [0; 6];
        // Bytes that HTTP would have to be waited for.
        let read = within("bytes or the end", stream.read_exact(&mut banner)).await;
        read.map(|_| banner).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(&banner, b"hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_without_a_sidecar_is_called_in_plaintext() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("plain").await;
    mesh.apply(&format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: old}}\n\
         spec:\n  selector: {{app: old}}\n  ports: [{{name: http, port: 80, targetPort: web}}]\n---\n\
         apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: old-1}}\n\
         spec: {{address: 127.0.0.1, ports: {{web: {}}}, labels: {{app: old}}}}\n",
        app.port()
    ))
    .await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    let seen = eventually("the workload is called", async || {
        let response = calls.get("http://old/echo").await;
        if response.status == 200 { Ok(response.json()) } else { Err(response.text()) }
    })
    .await;
    let headers = seen["headers"].as_array().unwrap();
    let has = |name: &str| headers.iter().any(|it| it[0] == name);
    assert!(has("x-request-id") && !has("x-forwarded-client-cert"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_with_names_are_resolved_by_the_proxy() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("named").await;
    mesh.apply(&format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: named}}\n\
         spec:\n  hosts: [named.example]\n  location: MESH_EXTERNAL\n  resolution: DNS\n\
         \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
         \x20 endpoints: [{{address: localhost, ports: {{http: {}}}}}]\n",
        app.port()
    ))
    .await;
    let response = mesh.client().await.http().await.get("http://named.example/").await;
    assert_eq!((response.status, response.served_by()), (200, "named"), "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_of_the_mesh_is_passed_on() {
    let mesh = Mesh::start().await;
    let (http, raw) = (HttpApp::start("outside").await, TcpApp::echo().await);
    let client = mesh.client().await;
    let response = client.http().await.get(&format!("http://{}/", http.address())).await;
    assert_eq!((response.status, response.served_by()), (200, "outside"), "{}", response.text());
    let mut calls = client.http().await;
    let target = raw.address().to_string();
    let response = calls.call("CONNECT", &target, &[("host", &target)], b"").await;
    assert_eq!(response.status, 200);
    let mut stream = calls.into_stream();
    stream.get_mut().write_all(b"through").await.unwrap();
    let mut back = [0; 7];
    within("an echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_yaml_is_followed_to_the_data_path() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = [HttpApp::start("before").await, HttpApp::start("after").await];
    let write = |port: u16| {
        let entry = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: far}}\n\
             spec:\n  hosts: [far.example]\n  location: MESH_EXTERNAL\n  resolution: STATIC\n\
             \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
             \x20 endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]\n"
        );
        std::fs::write(folder.path().join("far.yaml"), entry).unwrap();
    };
    write(before.port());
    let mesh = Mesh::start_with(&["--store", &format!("dir:{}", folder.path().display())]).await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    assert_eq!(calls.get("http://far.example/").await.served_by(), "before");
    write(after.port());
    eventually("the changed file is followed", async || {
        let response = calls.get("http://far.example/").await;
        (response.served_by() == "after").then_some(()).ok_or(response.text())
    })
    .await;
    std::fs::remove_file(folder.path().join("far.yaml")).unwrap();
    eventually("the removed file is followed", async || {
        let response = calls.get("http://far.example/").await;
        (response.served_by() != "after").then_some(()).ok_or(response.text())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_made_after_it_was_asked_for_is_found() {
    let mesh = Mesh::start().await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    assert!(calls.get("http://late/").await.status >= 500);
    let late = mesh.http_service("late", 1).await;
    eventually("the new service is called", async || {
        let response = calls.get("http://late/").await;
        (response.status == 200).then_some(()).ok_or(response.text())
    })
    .await;
    assert!(late.requests()[0] >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_in_absolute_form_reaches_services_by_their_authority() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 2).await;
    let client = mesh.client().await;
    let mut calls = Http2::connect(client.outbound).await;
    for _ in 0..10 {
        let request = http::Request::get("http://hello/echo").body(Default::default()).unwrap();
        let response = calls.call(request).await;
        assert_eq!(response.status(), 200);
        let seen: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(seen["method"], "GET");
    }
    assert_eq!(hello.requests(), [5, 5]);
}
