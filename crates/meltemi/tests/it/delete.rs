//! `meltemi delete`.

use crate::mesh::{Mesh, route, service};

#[tokio::test]
async fn by_name_by_pair_and_by_file() {
    let mesh = Mesh::start().await;
    let three = service("a", 80) + &service("b", 80) + &route("a");
    mesh.apply(&three).await;
    assert_eq!(mesh.run("delete service a").await.succeeds(), "service \"a\" deleted\n");
    assert_eq!(
        mesh.run("delete svc/b vs/a").await.succeeds(),
        "service \"b\" deleted\nvirtualservice.networking.istio.io \"a\" deleted\n"
    );
    assert_eq!(mesh.service("b").await, None);

    mesh.apply(&three).await;
    let told = mesh.run_with("delete -f - -o name", &three).await.succeeds();
    assert_eq!(told, "virtualservice.networking.istio.io/a\nservice/a\nservice/b\n");
    let error = mesh.run_with("delete -f -", &three).await.fails(1);
    assert_eq!(error.matches("not found").count(), 3, "{error}");
    let run = mesh.run_with("delete -f - --ignore-not-found", &three).await;
    assert_eq!(run.succeeds(), "");
}

#[tokio::test]
async fn all_of_a_kind_or_those_with_a_label() {
    let mesh = Mesh::start().await;
    let marked =
        service("marked", 80).replace("  name: marked", "  name: marked\n  labels: {team: a}");
    let other = service("there", 80).replace("metadata:", "metadata:\n  namespace: istio-system");
    mesh.apply(&(service("a", 80) + &marked + &other + &route("a"))).await;
    assert_eq!(mesh.run("delete svc -l team=a").await.succeeds(), "service \"marked\" deleted\n");
    let told = mesh.run("delete svc,vs --all").await.succeeds();
    assert_eq!(told, "service \"a\" deleted\nvirtualservice.networking.istio.io \"a\" deleted\n");
    assert_eq!(mesh.run("get svc -A -o name").await.succeeds(), "service/there\n");
    assert_eq!(mesh.run("delete svc --all -A").await.succeeds(), "service \"there\" deleted\n");
    let nothing = mesh.run("delete svc --all").await;
    assert_eq!((nothing.code, nothing.err.as_str()), (Some(0), "No resources found.\n"));
}

#[tokio::test]
async fn what_is_there_goes_even_if_another_is_missing() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("a", 80)).await;
    let run = mesh.run("delete svc missing a").await;
    assert_eq!(run.out, "service \"a\" deleted\n");
    assert!(run.fails(1).contains("services \"missing\" not found"));
    assert_eq!(mesh.service("a").await, None);
    let error = mesh.run("delete ns default").await.fails(1);
    assert!(error.contains("may not be deleted"), "{error}");
}

#[tokio::test]
async fn a_dry_run_deletes_nothing() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("a", 80)).await;
    for (flag, suffix) in [("--dry-run", "(dry run)"), ("--dry-run=server", "(server dry run)")] {
        let told = mesh.run(&format!("delete svc a {flag}")).await.succeeds();
        assert_eq!(told, format!("service \"a\" deleted {suffix}\n"));
        mesh.run(&format!("delete svc missing {flag}")).await.fails(1);
    }
    assert!(mesh.service("a").await.is_some());
}

#[tokio::test]
async fn which_objects_must_be_clear() {
    let mesh = Mesh::start().await;
    for (line, part) in [
        ("delete", "KIND NAME"),
        ("delete svc", "--all"),
        ("delete svc a --all", "exclude"),
        ("delete svc a -A", "--all-namespaces"),
        ("delete svc a -f x.yaml", "cannot be used"),
        ("delete svc -l a=b --all", "cannot be used"),
    ] {
        let error = mesh.run(line).await.fails(2);
        assert!(error.contains(part), "{line}: {error}");
    }
    let wrong = service("a", 80).replace("kind: Service", "kind: Servce");
    let error = mesh.run_with("delete -f -", &wrong).await.fails(1);
    assert!(error.contains("nothing was deleted"), "{error}");
}
