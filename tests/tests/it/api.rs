//! The configuration API from outside: Kubernetes' shape, over the network, with its token.

use meltemi_tests::Mesh;
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ROUTES: &str = "/apis/networking.istio.io/v1/namespaces/default/virtualservices";

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": name}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_lives_its_life_with_versions_and_conflicts() {
    let mesh = Mesh::start().await;
    let api = mesh.api();
    let (status, created) = api.post(SERVICES, &service("web")).await;
    assert_eq!(status, 201, "{created}");
    let (status, twice) = api.post(SERVICES, &service("web")).await;
    assert_eq!((status, &twice["reason"]), (409, &"AlreadyExists".into()));
    let path = format!("{SERVICES}/web");
    let patch = json!({"metadata": {"labels": {"team": "shop"}}});
    let kind = "application/merge-patch+json";
    let (status, patched) = api.call("PATCH", &path, kind, &patch).await;
    assert_eq!((status, &patched["metadata"]["labels"]["team"]), (200, &"shop".into()));
    let (status, stale) = api.call("PUT", &path, "application/json", &created).await;
    assert_eq!(
        (status, &stale["kind"], &stale["reason"]),
        (409, &"Status".into(), &"Conflict".into())
    );
    let (status, list) = api.get(SERVICES).await;
    assert_eq!((status, &list["kind"]), (200, &"ServiceList".into()));
    let (status, _) = api.call("DELETE", &path, "", &Value::Null).await;
    assert_eq!(status, 200);
    let (status, gone) = api.get(&path).await;
    assert_eq!((status, &gone["reason"]), (404, &"NotFound".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_objects_are_refused_whole_with_place_and_suggestion() {
    let mesh = Mesh::start().await;
    let mut wrong = service("web");
    wrong["spec"]["ports"][0]["port"] = 70_000.into();
    let (status, refusal) = mesh.api().post(SERVICES, &wrong).await;
    assert!(matches!(status, 400 | 422), "{status}: {refusal}");
    let message = refusal["message"].as_str().unwrap();
    assert!(message.contains("port") && message.contains("70000"), "{message}");
    let yaml = "apiVersion: v1\nkind: Service\nmetadata: {name: good}\n\
                spec: {ports: [{name: http, port: 80}]}\n---\n\
                apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: bad\n\
                spec:\n  hosts: [good]\n  htpp:\n  - route: []\n";
    let file = mesh.directory().join("rules.yaml");
    std::fs::write(&file, yaml).unwrap();
    for command in ["validate", "apply"] {
        let outcome = mesh.command(&[command, "-f", file.to_str().unwrap()], "").await;
        assert_eq!(outcome.code, Some(1), "{outcome}");
        for part in ["rules.yaml:12", "htpp", "http"] {
            let told = outcome.to_string();
            assert!(told.contains(part), "{command}: {part:?} is not in {told}");
        }
    }
    let (status, _) = mesh.api().get(&format!("{SERVICES}/good")).await;
    assert_eq!(status, 404, "nothing of that apply took effect");
    let (_, routes) = mesh.api().get(ROUTES).await;
    assert_eq!(routes["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_get_describe_and_delete_go_together() {
    let mesh = Mesh::start().await;
    let yaml = service("web").to_string();
    mesh.apply(&yaml).await;
    let again = mesh.command(&["apply", "-f", "-"], &yaml).await;
    assert!(again.stdout.contains("unchanged"), "{again}");
    let table = mesh.command(&["get", "services"], "").await;
    assert!(table.stdout.contains("web") && table.stdout.contains("NAME"), "{table}");
    let json = mesh.command(&["get", "service", "web", "-o", "json"], "").await;
    let object: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(object["spec"]["ports"][0]["port"], 80);
    let described = mesh.command(&["describe", "service", "web"], "").await;
    assert_eq!(described.code, Some(0), "{described}");
    assert!(described.stdout.contains("web"), "{described}");
    let deleted = mesh.command(&["delete", "-f", "-"], &yaml).await;
    assert_eq!(deleted.code, Some(0), "{deleted}");
    let missing = mesh.command(&["get", "service", "web"], "").await;
    assert_eq!(missing.code, Some(1), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_wants_its_token() {
    let mesh = Mesh::start().await;
    let api = mesh.api();
    for token in ["", "wrong", &format!("{}x", api.token())] {
        let (status, refusal) = api.with_token(token).get(SERVICES).await;
        assert_eq!((status, &refusal["kind"]), (401, &"Status".into()), "{token:?}");
    }
    assert_eq!(api.get(SERVICES).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_against_it() {
    let Some(kubectl) = meltemi_tests::peer::program("kubectl") else { return };
    let mesh = Mesh::start().await;
    let server = format!("http://admin:{}@{}", mesh.api().token(), mesh.addresses().api);
    let run = async |arguments: &[&str], input: &str| {
        let mut command = tokio::process::Command::new(&kubectl);
        command.args(["--server", &server]).args(arguments);
        // Whatever kubeconfig this user has is another cluster's.
        command.env("KUBECONFIG", mesh.directory().join("none")).env("HOME", mesh.directory());
        meltemi_tests::mesh::run(command, input).await
    };
    let yaml = service("web").to_string();
    let applied = run(&["apply", "--validate=false", "-f", "-"], &yaml).await;
    assert!(applied.code == Some(0) && applied.stdout.contains("created"), "{applied}");
    let found = run(&["get", "service", "web", "-o", "jsonpath={.spec.ports[0].port}"], "").await;
    assert_eq!(found.stdout, "80", "{found}");
    let deleted = run(&["delete", "service", "web"], "").await;
    assert_eq!(deleted.code, Some(0), "{deleted}");
}
