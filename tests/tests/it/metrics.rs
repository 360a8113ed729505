//! Istio's standard metrics: what both ends of the calls counted, and what the applications saw, is the same.

use meltemi_telemetry::scrape::Scrape;
use meltemi_tests::{Http1, Load, Mesh, Process, Sidecar, eventually, free_port, peer, within};
use serde_json::Value;
use tokio::process::Command;

const REQUESTS: &str = "istio_requests_total";

async fn scrape_all(sidecars: impl IntoIterator<Item = &Sidecar>) -> Scrape {
    let mut all = Scrape::default();
    for sidecar in sidecars {
        all.extend(sidecar.scrape().await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_add_up_over_ten_thousand_requests() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 3).await;
    let clients = [mesh.client().await, mesh.client().await];
    let loads = [
        Load::start(clients[0].outbound, "http://hello/", 3),
        Load::start(clients[1].outbound, "http://hello/echo", 3),
    ];
    for load in &loads {
        load.answers(2_500).await;
        load.answers(2_500).await;
    }
    let mut answered = 0;
    for load in loads {
        let report = load.stop().await;
        assert_eq!(report.failures, Vec::<String>::new());
        answered += report.answered();
    }
    // Failures are counted too, with their codes.
    let mut calls = clients[0].http().await;
    for _ in 0..50 {
        assert_eq!(calls.get("http://hello/status/503").await.status, 503);
        assert_eq!(calls.get("http://hello/status/404").await.status, 404);
    }
    assert!(answered >= 10_000);
    let servers = hello.instances.iter().map(|(_, sidecar)| sidecar);
    // A response is counted when its last byte is out: the caller may have it a moment before.
    let applications: u64 = hello.requests().iter().sum();
    let seen = eventually("both reporters have counted all", async || {
        let seen = scrape_all(servers.clone().chain(&clients)).await;
        let of = |reporter| seen.sum(REQUESTS, &[("reporter", reporter)]) as u64;
        match (of("source"), of("destination")) {
            (source, destination) if source >= answered + 100 && destination >= applications => {
                Ok(seen)
            }
            counts => Err(format!("{counts:?} of {answered} answered")),
        }
    })
    .await;
    for code in ["200", "404"] {
        let of = |reporter| seen.sum(REQUESTS, &[("reporter", reporter), ("response_code", code)]);
        assert_eq!(of("source"), of("destination"), "{code}");
    }
    let labels = |reporter| [("reporter", reporter), ("destination_service_name", "hello")];
    assert_eq!(seen.sum(REQUESTS, &labels("destination")) as u64, applications);
    assert_eq!(seen.sum(REQUESTS, &labels("source")) as u64, answered + 100);
    let ok = [("reporter", "source"), ("response_code", "200")];
    assert_eq!(seen.sum(REQUESTS, &ok) as u64, answered);
    let durations = seen.sum("istio_request_duration_milliseconds_count", &labels("source"));
    assert_eq!(durations as u64, answered + 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_labels_of_istios_dashboards_are_filled() {
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    client.http().await.get("http://hello/").await;
    let server = &hello.instances[0].1;
    for (reporter, sidecar) in [("source", &client), ("destination", server)] {
        let sample = eventually(&format!("a sample of {reporter}"), async || {
            let scrape = sidecar.scrape().await;
            let filter = [("reporter", reporter)];
            scrape.select(REQUESTS, &filter).next().cloned().ok_or("none".to_owned())
        })
        .await;
        for (label, value) in [
            ("response_code", "200"),
            ("request_protocol", "http"),
            (
                "connection_security_policy",
                if reporter == "source" { "unknown" } else { "mutual_tls" },
            ),
            ("destination_service", "hello.default.svc.cluster.local"),
            ("destination_service_name", "hello"),
            ("destination_service_namespace", "default"),
            ("destination_workload_namespace", "default"),
            ("destination_principal", "spiffe://cluster.local/ns/default/sa/default"),
            ("source_canonical_service", "client"),
            ("destination_canonical_service", "hello"),
            ("source_principal", "spiffe://cluster.local/ns/default/sa/default"),
        ] {
            assert_eq!(sample.label(label), value, "{reporter}: {label} of {sample:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_sidecars() {
    let Some(prometheus) = peer::program("prometheus") else { return };
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let client = mesh.client().await;
    let mut calls = client.http().await;
    for _ in 0..20 {
        assert_eq!(calls.get("http://hello/").await.status, 200);
    }
    let targets = [client.metrics, hello.instances[0].1.metrics].map(|it| it.to_string());
    let configuration = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: sidecars\n\
         \x20 metrics_path: /stats/prometheus\n\
         \x20 static_configs: [{{targets: {targets:?}}}]\n"
    );
    let file = mesh.directory().join("prometheus.yml");
    std::fs::write(&file, configuration).unwrap();
    let port = free_port();
    let mut command = Command::new(prometheus);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", mesh.directory().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Process::start("prometheus", command, mesh.directory());
    for reporter in ["source", "destination"] {
        let query =
            format!("/api/v1/query?query=sum(istio_requests_total%7Breporter=%22{reporter}%22%7D)");
        eventually(&format!("Prometheus has the series of {reporter}"), async || {
            let address = ([127, 0, 0, 1], port).into();
            let mut calls = Http1::try_connect(address).await.map_err(|it| it.to_string())?;
            let answer = calls.get(&query).await;
            // While it starts, it answers 503 in words.
            let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            match json["data"]["result"][0]["value"][1].as_str() {
                Some("20") => Ok(()),
                _ => Err(answer.text()),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_opaque_connections_are_counted_at_both_ends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mesh = Mesh::start().await;
    let app = meltemi_tests::TcpApp::echo().await;
    let server = mesh.workload("raw").port(app.port(), "tcp").proxy().await;
    let listen = free_port();
    let upstream = format!("raw:{}", app.port());
    let client = mesh.workload("client").upstream(&upstream, listen).proxy().await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", listen)).await.unwrap();
    stream.write_all(&[7; 10_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    within("the echo", stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back.len(), 10_000);
    for (reporter, sidecar) in [("source", &client), ("destination", &server)] {
        eventually(&format!("{reporter} has counted the connection"), async || {
            let scrape = sidecar.scrape().await;
            let filter = [("reporter", reporter)];
            let counts = [
                "istio_tcp_connections_opened_total",
                "istio_tcp_connections_closed_total",
                "istio_tcp_received_bytes_total",
                "istio_tcp_sent_bytes_total",
            ]
            .map(|name| scrape.sum(name, &filter) as u64);
            (counts == [1, 1, 10_000, 10_000]).then_some(()).ok_or(format!("{counts:?}"))
        })
        .await;
    }
}
