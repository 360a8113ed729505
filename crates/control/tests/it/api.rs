//! The API's gate, and the monitoring port.

use std::os::unix::fs::MetadataExt;

use http::{Method, StatusCode};
use http_body_util::Full;
use meltemi_control::ControlFile;
use meltemi_telemetry::scrape;
use serde_json::json;

use crate::http::{get, request, send, send_as};
use crate::mesh::{Mesh, registered};

const NAMESPACES: &str = "/api/v1/namespaces";

#[tokio::test]
async fn the_api_needs_the_token_of_control_json() {
    let mesh = Mesh::start().await;
    let path = mesh.state_dir().join("control.json");
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let file = ControlFile::read(&mesh.state_dir()).unwrap();
    assert_eq!((file.api, file.pid), (mesh.plane.addresses().api, std::process::id()));

    assert_eq!(get(file.api, NAMESPACES).await.0, StatusCode::UNAUTHORIZED);
    let (status, list) = mesh.api(Method::GET, NAMESPACES, &serde_json::Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|it| &it["metadata"]["name"]).collect();
    assert_eq!(names, ["default", "istio-system"]);
    mesh.plane.stop().await;
    assert!(!path.exists(), "it goes with the control plane");
}

#[tokio::test]
async fn in_the_demo_this_machine_needs_no_token_but_other_sites_are_kept_out() {
    let mesh = Mesh::start_with(|options| options.insecure_loopback = true).await;
    let api = mesh.plane.addresses().api;
    assert_eq!(get(api, NAMESPACES).await.0, StatusCode::OK);
    let page = request(api, Method::GET, NAMESPACES).header("origin", "http://evil.example.com");
    let page = page.body(Full::default()).unwrap();
    assert_eq!(send(api, page).await.0, StatusCode::FORBIDDEN);
    let rebound = http::Request::get(NAMESPACES).header("host", "evil.example.com");
    let rebound = rebound.body(Full::default()).unwrap();
    assert_eq!(send(api, rebound).await.0, StatusCode::FORBIDDEN);
}

/// A certificate of the mesh is a service account of the API: it has what its bindings give it, which is nothing at first.
#[tokio::test]
async fn a_workload_is_known_by_its_certificate() {
    let mesh = Mesh::start().await;
    let api = mesh.plane.addresses().api;
    let member = mesh.member("bot").await;
    let ask = async |path: &str, method: Method, body: &str| {
        let request = request(api, method, path)
            .header("content-type", "application/json")
            .body(Full::from(body.to_owned()))
            .unwrap();
        send_as(&member.identity, api, request).await
    };
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = r#"{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}"#;
    let (status, who) = ask(path, Method::POST, review).await;
    assert_eq!(status, StatusCode::CREATED, "{who}");
    assert!(who.contains("\"system:serviceaccount:default:bot\""), "{who}");
    assert_eq!(ask(NAMESPACES, Method::GET, "").await.0, StatusCode::FORBIDDEN);

    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "bot"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "bot"}],
        "roleRef": {"kind": "ClusterRole", "name": "viewer"},
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(mesh.api(Method::POST, bindings, &binding).await.0, StatusCode::CREATED);
    assert_eq!(ask(NAMESPACES, Method::GET, "").await.0, StatusCode::OK);
    let audit = std::fs::read_to_string(mesh.state_dir().join("audit.log")).unwrap();
    let credential = "certificate of spiffe://cluster.local/ns/default/sa/bot";
    assert!(audit.lines().any(|line| line.contains(credential)), "{audit}");
    assert!(audit.lines().any(|line| line.contains("\"sign\"") && line.contains("serial")));
}

#[tokio::test]
async fn metrics_and_health_tell_what_there_is() {
    let mesh = Mesh::start().await;
    let monitoring = mesh.plane.addresses().monitoring.unwrap();
    let mut web = mesh.member("web").await.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    web.sees("hello-1").await;
    registered(&hello).await;
    for path in ["/healthz/ready", "/healthz/live"] {
        assert_eq!(get(monitoring, path).await.0, StatusCode::OK, "{path}");
    }
    for _ in 0..2 {
        let scrape = scrape::parse(&get(monitoring, "/metrics").await.1).unwrap();
        let figure = |name| scrape.sum(name, &[]);
        assert_eq!(figure("meltemi_certificates_signed_total"), 2.0);
        assert_eq!(figure("meltemi_certificates_refused_total"), 0.0);
        assert_eq!(figure("meltemi_discovery_sessions"), 1.0);
        assert_eq!(figure("meltemi_registered_workloads"), 1.0);
        assert_eq!(figure("meltemi_services"), 1.0);
        assert!(figure("meltemi_discovery_pushes_total") >= 1.0);
        assert!(figure("process_resident_memory_bytes") > 0.0);
        assert!(figure("meltemi_ca_expiry_timestamp_seconds") > 1.7e9);
    }
}

/// What is in no store is told too.
#[tokio::test]
async fn the_audit_log_says_what_a_new_root_has_changed() {
    let mesh = Mesh::start().await;
    let old = mesh.bundle().fingerprints();
    let (status, now) =
        mesh.api(Method::POST, "/meltemi/v1/ca/root/prepare", &serde_json::Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{now}");
    let audit = std::fs::read_to_string(mesh.state_dir().join("audit.log")).unwrap();
    let line = audit.lines().find(|line| line.contains("/meltemi/v1/ca/root/prepare")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["user"]["username"], "admin");
    let change = &line["annotations"]["meltemi.io/changes"][0];
    assert_eq!(change["object"]["resource"], "ca", "{line}");
    let differences = change["difference"].as_array().unwrap();
    let told = |at: &str, is_right: &dyn Fn(&str) -> bool| {
        differences.iter().any(|it| {
            it["path"].as_str().is_some_and(|path| path.starts_with(at))
                && it["to"].as_str().is_some_and(is_right)
        })
    };
    assert!(told("/rotation", &|to| to == "prepared"), "{line}");
    assert!(told("/roots/", &|to| !old.iter().any(|it| it == to)), "{line}");
}
