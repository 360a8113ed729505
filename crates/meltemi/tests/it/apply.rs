//! `meltemi apply`: what it makes of good input.

use serde_json::{Value, json};

use crate::mesh::{Mesh, route, service};

const ISTIO: &str = "networking.istio.io";

#[tokio::test]
async fn tells_what_became_of_each_object() {
    let mesh = Mesh::start().await;
    let both = service("hello", 80) + &route("hello");
    for (input, expected) in [
        (both.clone(), "service/hello created\nvirtualservice.networking.istio.io/hello created\n"),
        (both, "service/hello unchanged\nvirtualservice.networking.istio.io/hello unchanged\n"),
        (service("hello", 81), "service/hello configured\n"),
    ] {
        assert_eq!(mesh.run_with("apply -f -", &input).await.succeeds(), expected);
    }
    assert_eq!(mesh.service("hello").await.unwrap()["spec"]["ports"][0]["port"], 81);
    assert!(mesh.stored(ISTIO, "virtualservices", "hello").await.is_some());
}

#[tokio::test]
async fn what_is_left_out_goes_and_what_others_set_stays() {
    let mesh = Mesh::start().await;
    let labelled = |labels: &str| {
        service("hello", 80).replace("metadata:", &format!("metadata:\n  labels: {labels}"))
    };
    mesh.apply(&labelled("{team: a, tier: web}")).await;
    let mut theirs = mesh.service("hello").await.unwrap();
    assert_eq!(theirs["metadata"]["labels"], json!({"team": "a", "tier": "web"}));
    theirs["metadata"]["labels"]["stage"] = json!("test");
    let key = meltemi_store::Key::new("", "services", Some("default"), "hello");
    mesh.store.put(key, theirs.to_string().into(), meltemi_store::Expect::Any).await.unwrap();

    let told = mesh.run_with("apply -f -", &labelled("{tier: web}")).await.succeeds();
    assert_eq!(told, "service/hello configured\n");
    let labels = &mesh.service("hello").await.unwrap()["metadata"]["labels"];
    assert_eq!(*labels, json!({"stage": "test", "tier": "web"}));
}

#[tokio::test]
async fn files_and_directories_are_read() {
    let mesh = Mesh::start().await;
    mesh.write("mesh/one.yaml", &service("one", 80));
    let two = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "two"},
        "spec": {"ports": [{"port": 80}]},
    });
    mesh.write("mesh/two.json", &two.to_string());
    mesh.write("mesh/.hidden.yaml", "{{{");
    mesh.write("mesh/notes.txt", "{{{");
    mesh.write("mesh/deep/three.yml", &service("three", 80));
    mesh.write("four.yaml", &service("four", 80));
    let top = mesh.run("apply -f mesh -f four.yaml -o name").await.succeeds();
    assert_eq!(top, "service/one\nservice/two\nservice/four\n");
    let all = mesh.run("apply -R -f mesh,four.yaml").await.succeeds();
    assert!(
        all.contains("service/three created") && all.contains("service/four unchanged"),
        "{all}"
    );
}

#[tokio::test]
async fn a_namespace_comes_before_what_is_in_it() {
    let mesh = Mesh::start().await;
    let input = service("hello", 80).replace("metadata:", "metadata:\n  namespace: shop")
        + "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
    for dry_run in ["client", "server"] {
        let told =
            mesh.run_with(&format!("apply -f - --dry-run={dry_run}"), &input).await.succeeds();
        let suffix = if dry_run == "client" { "(dry run)" } else { "(server dry run)" };
        assert_eq!(
            told,
            format!("namespace/shop created {suffix}\nservice/hello created {suffix}\n")
        );
        assert_eq!(mesh.run("get ns -o name").await.succeeds().lines().count(), 2);
    }
    let told = mesh.run_with("apply -f -", &input).await.succeeds();
    assert_eq!(told, "namespace/shop created\nservice/hello created\n");
    assert_eq!(mesh.run("get svc -n shop -o name").await.succeeds(), "service/hello\n");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("same", 80) + &service("other", 80))).await;
    let input = service("same", 80) + &service("other", 81) + &service("new", 80);
    for (flag, suffix) in [
        ("--dry-run", " (dry run)"),
        ("--dry-run=client", " (dry run)"),
        ("--dry-run=server", " (server dry run)"),
    ] {
        let told = mesh.run_with(&format!("apply {flag} -f -"), &input).await.succeeds();
        let expected = format!(
            "service/same unchanged{suffix}\nservice/other configured{suffix}\nservice/new created{suffix}\n"
        );
        assert_eq!(told, expected);
    }
    assert_eq!(mesh.service("new").await, None);
    assert_eq!(mesh.service("other").await.unwrap()["spec"]["ports"][0]["port"], 80);
    let told = mesh.run_with("apply --dry-run=none -f -", &input).await.succeeds();
    assert!(told.contains("service/new created\n"), "{told}");
}

#[tokio::test]
async fn what_get_prints_can_be_applied() {
    let mesh = Mesh::start().await;
    mesh.apply(&(service("hello", 80) + &route("hello"))).await;
    for format in ["yaml", "json"] {
        let printed = mesh.run(&format!("get svc,vs -o {format}")).await.succeeds();
        assert!(!printed.contains("meltemi.io/applied"), "{printed}");
        let told = mesh.run_with("apply -f -", &printed).await.succeeds();
        assert_eq!(told.lines().count(), 2, "{told}");
        let one = mesh.run(&format!("get svc hello -o {format}")).await.succeeds();
        mesh.run_with("apply -f -", &one).await.succeeds();
    }
    mesh.run("delete svc,vs --all").await.succeeds();
}

#[tokio::test]
async fn prints_the_objects_as_they_are_now() {
    let mesh = Mesh::start().await;
    let one = mesh.run_with("apply -f - -o json", &service("a", 80)).await.succeeds();
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["metadata"]["name"], "a");
    assert!(one["metadata"]["uid"].is_string());
    let input = service("a", 80) + &service("b", 80);
    let two = mesh.run_with("apply -f - -o json", &input).await.succeeds();
    let two: Value = serde_json::from_str(&two).unwrap();
    assert_eq!(two["kind"], "List");
    let names: Vec<_> =
        two["items"].as_array().unwrap().iter().map(|it| &it["metadata"]["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    let yaml = mesh.run_with("apply -f - -o yaml", &input).await.succeeds();
    assert!(yaml.starts_with("apiVersion: v1\nitems:\n- apiVersion: v1\n"), "{yaml}");
}

#[tokio::test]
async fn what_is_referred_to_but_nowhere_is_warned_of() {
    let mesh = Mesh::start().await;
    let run = mesh.run_with("apply -f -", &route("hello")).await;
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(run.out, "virtualservice.networking.istio.io/hello created\n");
    let place = "-:11:15: warning: VirtualService default/hello: ";
    assert!(run.err.contains(place), "{run:#?}");
    assert!(run.err.contains("there is no service `hello`"), "{run:#?}");

    // In the same input, or on the server already: nothing dangles.
    let both = route("hello") + &service("hello", 80);
    for input in [both, route("hello")] {
        let err = mesh.run_with("apply -f -", &input).await.err;
        assert!(!err.contains("there is no"), "{err}");
    }

    let subset = route("hello").replace("host: hello", "host: hello\n        subset: v9");
    let run = mesh.run_with("apply -f -", &subset).await;
    assert!(run.err.contains("subset `v9`") && run.code == Some(0), "{run:#?}");
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello}
spec:
  host: hello.default.svc.cluster.local
  subsets: [{name: v9, labels: {version: v9}}]
";
    mesh.apply(rule).await;
    let err = mesh.run_with("apply -f -", &subset).await.err;
    assert!(!err.contains("there is no"), "{err}");
}

#[tokio::test]
async fn what_changes_nothing_in_this_version_is_warned_of() {
    let mesh = Mesh::start().await;
    let policy = "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: deny}
spec: {}
";
    for line in ["apply -f -", "validate -f -"] {
        let run = mesh.run_with(line, &(service("hello", 80) + "---\n" + policy)).await;
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert_eq!(run.err.lines().count(), 1, "{run:#?}");
        let told = "warning: Telemetry default/deny: accepted and stored, but this version does not act on it\n";
        assert!(run.err.starts_with("-:") && run.err.ends_with(told), "{run:#?}");
    }
}

#[tokio::test]
async fn kinds_are_known_whatever_versions_their_group_prefers() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("a", 80)).await;
    let objects = [
        (
            "gateway.networking.k8s.io",
            "v1alpha2",
            "TCPRoute",
            "tcproutes",
            "{rules: [{backendRefs: [{name: a, port: 80}]}]}",
        ),
        (
            "gateway.networking.k8s.io",
            "v1beta1",
            "ReferenceGrant",
            "referencegrants",
            "{from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}], to: [{group: '', kind: Service}]}",
        ),
        (ISTIO, "v1beta1", "ProxyConfig", "proxyconfigs", "{concurrency: 2}"),
        (ISTIO, "v1alpha3", "EnvoyFilter", "envoyfilters", "{configPatches: []}"),
    ];
    for (group, version, kind, plural, spec) in objects {
        let input = format!(
            "apiVersion: {group}/{version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        );
        let name = format!("{}.{group}/a", kind.to_lowercase());
        let told = mesh.run_with("apply -f -", &input).await.succeeds();
        assert_eq!(told, format!("{name} created\n"));
        let stored = mesh.stored(group, plural, "a").await.unwrap();
        assert_eq!(stored["apiVersion"], format!("{group}/{version}"));
        let listed = mesh.run(&format!("get {plural} -o name")).await.succeeds();
        assert_eq!(listed, format!("{name}\n"));
        let told = mesh.run_with("delete -f -", &input).await.succeeds();
        assert!(told.contains("deleted"), "{told}");
    }
}
