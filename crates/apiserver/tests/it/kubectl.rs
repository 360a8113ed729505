//! The real kubectl against the API, on machines that have one.

use std::process::Stdio;

use meltemi_apiserver::AdminToken;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::server::{Server, route, service};

/// A kubectl that knows nothing but this server.
struct Kubectl {
    home: tempfile::TempDir,
    server: Server,
}

impl Kubectl {
    /// `None` where there is no kubectl.
    async fn start() -> Option<Self> {
        let found = Command::new("kubectl")
            .args(["version", "--client"])
            .stdout(Stdio::null())
            .status()
            .await;
        if !found.is_ok_and(|status| status.success()) {
            eprintln!("kubectl is not installed: its test is passed over");
            return None;
        }
        let server = Server::start_with(|state| state.with_auth(AdminToken::new("s3cret"))).await;
        let home = tempfile::tempdir().unwrap();
        // kubectl sends no token over plain HTTP, but does send the user and password of a URL.
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: m\nclusters: [{{name: m, cluster: {{server: 'http://admin:s3cret@{}'}}}}]\n\
             contexts: [{{name: m, context: {{cluster: m}}}}]\n",
            server.address
        );
        std::fs::write(home.path().join("config"), config).unwrap();
        Some(Self { home, server })
    }

    /// Runs it with this on its standard input; returns what it printed, or its error.
    async fn run(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new("kubectl")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_as_with_kubernetes() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let documents = format!("{}\n{}", service("hello", "a"), route("hello"));
    let applied = kubectl.run(&["apply", "-f", "-"], &documents).await.unwrap();
    assert_eq!(
        applied,
        "service/hello created\nvirtualservice.networking.istio.io/hello created\n"
    );
    let again = kubectl.run(&["apply", "-f", "-"], &documents).await.unwrap();
    assert_eq!(
        again,
        "service/hello unchanged\nvirtualservice.networking.istio.io/hello unchanged\n"
    );
    let mut changed = service("hello", "b");
    changed["spec"]["ports"][0]["port"] = serde_json::json!(81);
    let configured = kubectl.run(&["apply", "-f", "-"], &changed.to_string()).await.unwrap();
    assert_eq!(configured, "service/hello configured\n");
    let table = kubectl.run(&["get", "svc"], "").await.unwrap();
    let words: Vec<_> = table.split_whitespace().take(10).collect();
    assert_eq!(
        words,
        [
            "NAME",
            "TYPE",
            "CLUSTER-IP",
            "EXTERNAL-IP",
            "PORT(S)",
            "AGE",
            "hello",
            "ClusterIP",
            "None",
            "<none>"
        ]
    );
    assert!(table.contains("81/TCP"), "{table}");
    assert_eq!(
        kubectl.run(&["get", "vs", "-A", "-o", "name"], "").await.unwrap(),
        "virtualservice.networking.istio.io/hello\n"
    );

    kubectl.run(&["label", "svc", "hello", "stage=test"], "").await.unwrap();
    let stage = kubectl
        .run(&["get", "svc", "-l", "stage=test", "-o", "jsonpath={.items[*].metadata.name}"], "")
        .await;
    assert_eq!(stage.as_deref(), Ok("hello"));
    kubectl.run(&["create", "namespace", "shop"], "").await.unwrap();
    let server_side = kubectl
        .run(&["apply", "--server-side", "-n", "shop", "-f", "-"], &route("r").to_string())
        .await;
    assert_eq!(
        server_side.as_deref(),
        Ok("virtualservice.networking.istio.io/r serverside-applied\n")
    );
    let secret = kubectl.run(&["create", "secret", "generic", "s", "--from-literal=a=b"], "").await;
    assert_eq!(secret.as_deref(), Ok("secret/s created\n"));
    let explained = kubectl.run(&["explain", "virtualservice.spec.hosts"], "").await.unwrap();
    assert!(explained.contains("FIELD: hosts"), "{explained}");
    let resources = kubectl.run(&["api-resources", "-o", "name"], "").await.unwrap();
    assert!(
        resources.lines().any(|line| line == "destinationrules.networking.istio.io"),
        "{resources}"
    );

    let deleted = kubectl.run(&["delete", "svc,vs", "--all"], "").await.unwrap();
    assert!(deleted.contains("service \"hello\" deleted"), "{deleted}");
    let missing = kubectl.run(&["get", "svc", "hello"], "").await.unwrap_err();
    assert!(missing.contains("(NotFound)"), "{missing}");
}

/// A `List`, as `kubectl get -o yaml` writes it, is a backup that `apply` takes back; a kind that is not there is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_back_the_lists_that_it_wrote() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let apply = &["apply", "-f", "-"][..];
    let documents = format!("{}\n{}", service("hello", "a"), route("hello"));
    kubectl.run(apply, &documents).await.unwrap();
    let list = kubectl.run(&["get", "svc,vs", "-o", "yaml"], "").await.unwrap();
    assert!(list.contains("kind: List"), "{list}");
    kubectl.run(&["delete", "svc,vs", "--all"], "").await.unwrap();
    let created = "service/hello created\nvirtualservice.networking.istio.io/hello created\n";
    assert_eq!(kubectl.run(apply, &list).await.as_deref(), Ok(created));
    let wrong = kubectl.run(apply, &list.replace("hosts:", "hots:")).await.unwrap_err();
    assert!(wrong.contains("hots"), "{wrong}");
    let deployment =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
    let unknown = kubectl.run(apply, &deployment.to_string()).await.unwrap_err();
    assert!(unknown.contains("no matches for kind \"Deployment\""), "{unknown}");
}

/// Two managers that apply the same field: the second is told of the first, and may take the field over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_two_managers_of_their_conflict() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let map = |value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": value}}).to_string()
    };
    let apply = async |manager: &str, value: &str, more: &[&str]| {
        let manager = format!("--field-manager={manager}");
        let arguments = [&["apply", "--server-side", "-f", "-", &manager], more].concat();
        kubectl.run(&arguments, &map(value)).await
    };
    let applied = Ok("configmap/m serverside-applied\n".to_owned());
    assert_eq!(apply("a", "1", &[]).await, applied);
    assert_eq!(apply("b", "1", &[]).await, applied, "the same value is no conflict");
    let told = apply("b", "2", &[]).await.unwrap_err();
    assert!(told.contains("Apply failed with 1 conflict: conflict with \"a\": .data.k"), "{told}");
    assert_eq!(apply("b", "2", &["--force-conflicts"]).await, applied);
    let told = apply("a", "1", &[]).await.unwrap_err();
    assert!(told.contains("conflict with \"b\": .data.k"), "{told}");
}

/// Every kind is explained with all its fields, and names that a field may have are listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explains_every_kind() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let names = kubectl.run(&["api-resources", "-o", "name"], "").await.unwrap();
    assert!(names.lines().count() > 20, "{names}");
    for name in names.lines() {
        let explained = kubectl.run(&["explain", name, "--recursive"], "").await;
        assert!(explained.as_ref().is_ok_and(|it| it.contains("FIELDS:")), "{name}: {explained:?}");
    }
    let simple = "destinationrule.spec.trafficPolicy.loadBalancer.simple";
    let explained = kubectl.run(&["explain", simple], "").await.unwrap();
    assert!(explained.contains("ENUM:") && explained.contains("LEAST_REQUEST"), "{explained}");
    let mesh = kubectl.run(&["api-resources", "--categories=istio-io", "-o", "name"], "").await;
    let mesh = mesh.unwrap();
    assert!(mesh.contains("virtualservices.networking.istio.io"), "{mesh}");
    assert!(!mesh.contains("httproutes"), "{mesh}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applies_roles_and_asks_in_nobodys_name() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let apply = &["apply", "-f", "-"][..];
    let role = |verbs: &[&str]| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "reader"}, "rules": [{"verbs": verbs, "apiGroups": [""], "resources": ["services"]}]})
    };
    let binding = |users: &[&str], role: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "readers"},
        "subjects": users.iter().map(|name| json!({"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"})).collect::<Vec<_>>(),
        "roleRef": {"kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io"}})
    };
    let first = format!("{}\n{}", role(&["get", "list"]), binding(&["alice", "bob"], "reader"));
    kubectl.run(apply, &first).await.unwrap();
    let second = format!("{}\n{}", role(&["watch"]), binding(&["carol"], "reader"));
    let configured = kubectl.run(apply, &second).await;
    assert_eq!(
        configured.as_deref(),
        Ok(
            "role.rbac.authorization.k8s.io/reader configured\nrolebinding.rbac.authorization.k8s.io/readers configured\n"
        )
    );
    // Both lists were replaced, not merged.
    let verbs = &["get", "role", "reader", "-o", "jsonpath={.rules[*].verbs[*]}"];
    assert_eq!(kubectl.run(verbs, "").await.as_deref(), Ok("watch"));
    let names = &["get", "rolebinding", "readers", "-o", "jsonpath={.subjects[*].name}"];
    assert_eq!(kubectl.run(names, "").await.as_deref(), Ok("carol"));
    let other = kubectl.run(apply, &binding(&["carol"], "owner").to_string()).await.unwrap_err();
    assert!(other.contains("cannot change roleRef"), "{other}");

    let error = kubectl.run(&["get", "svc", "--as", "alice"], "").await.unwrap_err();
    assert!(error.contains("impersonation is not supported"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_what_is_wrong() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let mut bad = route("hello");
    bad["spec"]["http"][0]["route"][0]["wieght"] = serde_json::json!(1);
    for extra in [&["--validate=false"][..], &[]] {
        let arguments = [&["apply", "-f", "-"], extra].concat();
        let error = kubectl.run(&arguments, &bad.to_string()).await.unwrap_err();
        assert!(error.contains("wieght"), "{error}");
    }
    let error = kubectl
        .run(&["apply", "-n", "nowhere", "-f", "-"], &service("a", "b").to_string())
        .await
        .unwrap_err();
    assert!(error.contains("namespaces \"nowhere\" not found"), "{error}");
    assert_eq!(kubectl.server.get("/api").await.0, http::StatusCode::UNAUTHORIZED);
}
