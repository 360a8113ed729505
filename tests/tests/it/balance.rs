//! Round robin, and the three spellings in which a service is called.

use meltemi_tests::{Http1, Mesh, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_take_exact_turns_over_one_proxy() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 3).await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    let mut turns = Vec::new();
    for _ in 0..300 {
        let response = calls.get("http://hello/").await;
        assert_eq!(response.status, 200, "{}", response.text());
        turns.push(response.served_by().to_owned());
    }
    assert_eq!(hello.requests(), [100, 100, 100]);
    for turn in turns.windows(4) {
        assert_eq!(turn[0], turn[3], "the order of the turns stays the same: {turn:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_service_reaches_all_instances() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 3).await;
    let (port, listen) = (hello.port(), free_port());
    let upstream = format!("hello:{port}");
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let mut calls = client.http().await;
    let mut before = hello.requests();
    let hosts = [
        "hello".to_owned(),
        format!("hello:{port}"),
        "hello.default".to_owned(),
        "hello.default.svc".to_owned(),
        "hello.default.svc.cluster.local".to_owned(),
        format!("hello.default.svc.cluster.local:{port}"),
        "HELLO.default.svc.cluster.local.".to_owned(),
    ];
    for host in hosts {
        for _ in 0..3 {
            let response = calls.get(&format!("http://{host}/")).await;
            assert_eq!(response.status, 200, "{host}: {}", response.text());
        }
        let now = hello.requests();
        let new: Vec<_> = now.iter().zip(&before).map(|(now, before)| now - before).collect();
        assert_eq!(new, [1, 1, 1], "{host}");
        before = now;
    }
    let mut plain = Http1::connect(([127, 0, 0, 1], listen).into()).await;
    for _ in 0..3 {
        assert_eq!(plain.get("/").await.status, 200, "by its local address");
    }
    assert_eq!(hello.requests(), before.iter().map(|it| it + 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_namespace_is_reached_by_its_name_and_unknown_hosts_are_refused() {
    let mesh = Mesh::start().await;
    let app = meltemi_tests::HttpApp::start("far").await;
    let _far = mesh.workload("hello").namespace("far").port(app.port(), "http").proxy().await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    assert_eq!(calls.get("http://hello.far/").await.served_by(), "far");
    for host in ["hello", "nobody", "hello.nowhere.svc.cluster.local"] {
        let response = calls.get(&format!("http://{host}/")).await;
        assert!(response.status >= 500, "{host}: {} {}", response.status, response.text());
    }
    assert_eq!(app.requests(), 1);
}
