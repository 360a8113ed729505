//! `ProxyConfig`: how sidecars run, as the mesh has it when they start.

use meltemi_tests::{HttpApp, Mesh, eventually};

/// How many workers a sidecar has: each is a thread of that name.
fn workers(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let names =
        tasks.flatten().filter_map(|it| std::fs::read_to_string(it.path().join("comm")).ok());
    names.filter(|name| name.starts_with("worker-")).count()
}

/// Waits until a sidecar has so many: a thread bears its name from a moment after it was made on.
async fn has_workers(pid: u32, count: usize, why: &str) {
    eventually(why, async || match workers(pid) {
        seen if seen == count => Ok(()),
        seen => Err(format!("{seen} workers, not {count}")),
    })
    .await;
}

fn config(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1beta1, kind: ProxyConfig, \
          metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}\n---\n"
    )
}

/// Fields: ProxyConfig spec.concurrency, spec.selector.matchLabels.*
#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_says_how_many_workers_a_sidecar_has() {
    let mesh = Mesh::start().await;
    let all = [
        config("istio-system", "mesh", "concurrency: 3"),
        config("default", "tier", "concurrency: 5, selector: {matchLabels: {tier: front}}"),
        config("default", "hello", "concurrency: 4, selector: {matchLabels: {app: hello}}"),
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n".to_owned(),
        config("shop", "shop", "concurrency: 2"),
    ];
    mesh.apply(&all.concat()).await;
    let client = mesh.workload("client").proxy().await;
    has_workers(client.pid(), 3, "of the mesh").await;
    let of_shop = mesh.workload("client").namespace("shop").proxy().await;
    has_workers(of_shop.pid(), 2, "of its own").await;
    let app = HttpApp::start("hello").await;
    let hello = mesh.workload("hello").port(app.port(), "http").proxy().await;
    has_workers(hello.pid(), 4, "by the label that registration gives it").await;
    let labelled = mesh.workload("client").flag("--label", "tier=front").proxy().await;
    has_workers(labelled.pid(), 5, "by its own label").await;
    let told = mesh.workload("client").flag("--workers", "1").proxy().await;
    has_workers(told.pid(), 1, "its command goes before").await;
    // They all carry traffic.
    for caller in [&client, &labelled, &told] {
        caller.until("it is called", "http://hello/", |it| it.status == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_at_the_next_start_and_is_kept_for_one_without_the_control_plane() {
    let mesh = Mesh::start().await;
    mesh.apply(&config("default", "all", "concurrency: 3")).await;
    let client = || mesh.workload("client").flag("--name", "client-1");
    let mut first = client().proxy().await;
    has_workers(first.pid(), 3, "as it was told").await;
    mesh.apply(&config("default", "all", "concurrency: 4")).await;
    has_workers(first.pid(), 3, "a sidecar that runs stays as it is").await;
    first.process.kill().await;
    let mut second = client().proxy().await;
    has_workers(second.pid(), 4, "as it was told").await;
    mesh.kill_control().await;
    second.process.kill().await;
    // It carries traffic at once, whether it has kept what it knew of services or not.
    let third = client().attempt("proxy", &[]);
    has_workers(third.pid(), 4, "as it ran before").await;
}

/// Fields: ProxyConfig spec.environmentVariables.*
#[tokio::test(flavor = "multi_thread")]
async fn variables_say_how_requests_are_logged_and_others_are_warned_of() {
    let mesh = Mesh::start().await;
    let yaml = config(
        "default",
        "all",
        "environmentVariables: {MELTEMI_ACCESS_LOG: json, ISTIO_META_DNS_CAPTURE: 'true'}",
    );
    let outcome = mesh.command(&["apply", "-f", "-"], &yaml).await;
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("ISTIO_META_DNS_CAPTURE"), "{outcome}");
    assert!(!outcome.stderr.contains("MELTEMI_ACCESS_LOG"), "{outcome}");
    let app = HttpApp::start("hello").await;
    let _hello = mesh.workload("hello").port(app.port(), "http").proxy().await;
    let mut client = mesh.workload("client").proxy().await;
    client.until("it is called", "http://hello/logged", |it| it.status == 200).await;
    let mut quiet = mesh.workload("client").flag("--access-log", "off").proxy().await;
    quiet.until("it is called", "http://hello/logged", |it| it.status == 200).await;
    let line = client.process.line().await.expect("a line of the log");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
    assert_eq!(entry["path"], "/logged", "{line}");
    // Whoever says so on the command's line has none; it ends, so that there is no further line to come.
    quiet.process.signal(meltemi_tests::Signal::TERM);
    assert_eq!(quiet.process.line().await, None);
}
