//! Members of workload groups: what they take from their group, and how its probe takes them out and back.

mod probes;

use meltemi_tests::{Http1, HttpApp, Mesh, Sidecar, eventually, free_port};
use serde_json::{Value, json};

const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";

/// A group `NAME` of this spec, and a service `web` that chooses workloads with the label `app: web`.
async fn group(mesh: &Mesh, name: &str, spec: &str) {
    mesh.apply(&format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n\
         spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: http}}]}}\n"
    ))
    .await;
}

async fn entry(mesh: &Mesh, member: &Sidecar) -> Value {
    let name = member.workload.split_once('/').expect("NAMESPACE/NAME").1;
    let (status, entry) = mesh.api().get(&format!("{ENTRIES}/{name}")).await;
    assert_eq!(status, 200, "{entry}");
    entry
}

/// Fields: WorkloadGroup spec.metadata.labels.*, WorkloadGroup spec.metadata.annotations.*,
/// WorkloadGroup spec.template.address, WorkloadGroup spec.template.labels.*, WorkloadGroup spec.template.ports.*,
/// WorkloadGroup spec.template.network, WorkloadGroup spec.template.serviceAccount
#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_called_by_what_its_group_says_and_follows_its_changes() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let spec = |label: &str| {
        format!(
            "{{metadata: {{labels: {{app: {label}}}, annotations: {{note: x}}}}, template: {{address: 127.0.0.2, \
             labels: {{app: below, tier: front}}, ports: {{http: {}}}, network: net-1, serviceAccount: web}}}}",
            app.port()
        )
    };
    group(&mesh, "vms", &spec("web")).await;
    let member = mesh
        .member("vms")
        .flag("--service-account", "web")
        .flag("--inbound", "0.0.0.0:0")
        .proxy()
        .await;
    let client = mesh.client().await;
    client.until("the member is called", "http://web/", |it| it.status == 200).await;
    assert!(app.requests() > 0);
    let entry = entry(&mesh, &member).await;
    let spec_of = &entry["spec"];
    assert_eq!(spec_of["address"], "127.0.0.2", "{entry}");
    assert_eq!(spec_of["network"], "net-1", "{entry}");
    assert_eq!(spec_of["serviceAccount"], "web", "{entry}");
    assert_eq!(spec_of["ports"], json!({"http": app.port()}), "{entry}");
    assert_eq!(
        (&spec_of["labels"]["app"], &spec_of["labels"]["tier"]),
        (&json!("web"), &json!("front"))
    );
    assert_eq!(entry["metadata"]["annotations"]["note"], "x", "{entry}");
    let shown = mesh.command(&["get", "workloadentries"], "").await;
    assert!(shown.stdout.contains("vms"), "{shown}");

    // No service chooses it any longer.
    group(&mesh, "vms", &spec("other")).await;
    client.until("the member is called no more", "http://web/", |it| it.status == 503).await;
    group(&mesh, "vms", &spec("web")).await;
    client.until("the member is called again", "http://web/", |it| it.status == 200).await;
}

/// Fields: WorkloadGroup spec.template.weight
#[tokio::test(flavor = "multi_thread")]
async fn members_have_the_share_that_the_weight_of_their_group_gives_them() {
    let mesh = Mesh::start().await;
    let [light, heavy] = [HttpApp::start("light").await, HttpApp::start("heavy").await];
    let mut members = Vec::new();
    for (name, weight, app) in [("light", 1, &light), ("heavy", 3, &heavy)] {
        let template =
            format!("{{ports: {{http: {}}}, labels: {{app: web}}, weight: {weight}}}", app.port());
        group(&mesh, name, &format!("{{template: {template}}}")).await;
        members.push(mesh.member(name).proxy().await);
    }
    mesh.apply(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n\
         spec: {host: web, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}\n",
    )
    .await;
    let client = mesh.client().await;
    eventually("a quarter of the calls goes to the lighter one", async || {
        let mut calls = client.http().await;
        let mut of_light = 0;
        for _ in 0..40 {
            of_light += usize::from(calls.get("http://web/").await.served_by() == "light");
        }
        if of_light == 10 { Ok(()) } else { Err(format!("{of_light} of 40")) }
    })
    .await;
}

/// Fields: WorkloadGroup spec.template.locality
#[tokio::test(flavor = "multi_thread")]
async fn members_stand_where_their_group_says() {
    let mesh = Mesh::start().await;
    let [near, far] = [HttpApp::start("near").await, HttpApp::start("far").await];
    mesh.apply(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n\
         spec: {host: web, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1000},\n\
         \x20 loadBalancer: {localityLbSetting: {enabled: true}}}}\n",
    )
    .await;
    let mut members = Vec::new();
    for (name, place, app) in [("far", "us/b", &far), ("near", "eu/a/1", &near)] {
        let template =
            format!("{{ports: {{http: {}}}, labels: {{app: web}}, locality: {place}}}", app.port());
        group(&mesh, name, &format!("{{template: {template}}}")).await;
        members.push(mesh.member(name).proxy().await);
    }
    let client = mesh.workload("client").flag("--label", "istio-locality=eu.a.1").proxy().await;
    client.until("the nearest is called", "http://web/", |it| it.served_by() == "near").await;
    let mut calls = client.http().await;
    for _ in 0..20 {
        assert_eq!(calls.get("http://web/").await.served_by(), "near");
    }
    assert_eq!(members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_says_goes_before_its_group() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let template = "{ports: {http: 1}, labels: {app: web, version: v1}}";
    group(&mesh, "vms", &format!("{{template: {template}}}")).await;
    let member = mesh.member("vms").port(app.port(), "http").version("v2").proxy().await;
    let entry = entry(&mesh, &member).await;
    assert_eq!(entry["spec"]["labels"]["version"], "v2", "{entry}");
    assert_eq!(entry["spec"]["ports"], json!({"main": app.port()}), "{entry}");
    let client = mesh.client().await;
    client.until("the member is called", "http://web/", |it| it.served_by() == "one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_is_told_and_waited_for() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    let health = free_port();
    let member = mesh.member("vms").flag("--health", &format!("127.0.0.1:{health}"));
    let process = member.attempt("proxy", &[]);
    let address = ([127, 0, 0, 1], health).into();
    let readiness = async || match Http1::try_connect(address).await {
        Ok(mut health) => Ok(health.get("/healthz/ready").await),
        Err(error) => Err(error.to_string()),
    };
    let part = "there is no WorkloadGroup `vms` in namespace `default`";
    eventually("the missing group is told", async || {
        let answer = readiness().await?;
        match answer.status == 503 && answer.text().contains(part) && process.log().contains(part) {
            true => Ok(()),
            false => Err(format!("{}\n{}", answer.text(), process.log())),
        }
    })
    .await;
    let template = format!("{{ports: {{http: {}}}, labels: {{app: web}}}}", app.port());
    group(&mesh, "vms", &format!("{{template: {template}}}")).await;
    eventually("it is ready with its group", async || match readiness().await? {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    let client = mesh.client().await;
    client.until("the member is called", "http://web/", |it| it.served_by() == "one").await;
}

/// A workload says its labels itself; those by which the workloads of a group are found are for the group's account.
///
/// Fields: WorkloadGroup spec.template.serviceAccount
#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_labels_of_a_group_of_another_service_account() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("impostor").await;
    let template = format!("{{serviceAccount: web, ports: {{http: {}}}}}", app.port());
    let spec = format!("{{metadata: {{labels: {{app: web}}}}, template: {template}}}");
    group(&mesh, "vms", &spec).await;
    let impostors = [
        mesh.workload("web").flag("--service-account", "other"),
        mesh.workload("idle").flag("--service-account", "other").flag("--label", "app=web"),
    ];
    for impostor in impostors {
        let proxy = impostor.port(app.port(), "http").attempt("proxy", &[]);
        eventually("the reason in the log", async || match proxy.log() {
            log if log.contains("of service account `web` by their WorkloadGroup") => Ok(()),
            log => Err(log),
        })
        .await;
    }
    let (status, entries) = mesh.api().get(ENTRIES).await;
    assert_eq!((status, &entries["items"]), (200, &json!([])), "{entries}");
    let _member = mesh.member("vms").flag("--service-account", "web").proxy().await;
    let client = mesh.client().await;
    client.until("the group's own is called", "http://web/", |it| it.status == 200).await;
}

/// Who has the labels already loses its place when a group says that they are another's.
///
/// Fields: WorkloadGroup spec.template.serviceAccount
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_comes_later_ends_what_others_have_of_its_labels() {
    let mesh = Mesh::start().await;
    let app = HttpApp::start("one").await;
    mesh.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
         spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}\n",
    )
    .await;
    let impostor = mesh.workload("idle").flag("--service-account", "other");
    let impostor = impostor.flag("--label", "app=web").port(app.port(), "http").proxy().await;
    let client = mesh.client().await;
    client.until("nobody has said whose", "http://web/", |it| it.served_by() == "one").await;
    let spec = "{metadata: {labels: {app: web}}, template: {serviceAccount: web}}";
    group(&mesh, "vms", spec).await;
    client.until("it is called no more", "http://web/", |it| it.status == 503).await;
    eventually("the reason in its log", async || match impostor.process.log() {
        log if log.contains("of service account `web` by their WorkloadGroup") => Ok(()),
        log => Err(log),
    })
    .await;
}
