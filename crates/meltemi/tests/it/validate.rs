//! `meltemi validate`, which needs no control plane.

use serde_json::Value;

use crate::mesh::{bare, route, run, service};

#[tokio::test]
async fn good_input_is_counted() {
    let good = service("hello", 80) + &route("hello");
    assert_eq!(run(bare("validate -f -"), &good).await.succeeds(), "2 resources valid\n");
    assert_eq!(
        run(bare("validate -f -"), &service("a", 80)).await.succeeds(),
        "1 resource valid\n"
    );
    assert_eq!(run(bare("validate -f -"), "").await.succeeds(), "0 resources valid\n");
    let policy = "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: deny}\nspec: {}\n";
    let told = run(bare("validate -f - --output json"), &(good + policy)).await.succeeds();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["valid"], &told["resources"]), (&true.into(), &3.into()));
    let findings = told["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{told}");
    assert_eq!(findings[0]["severity"], "warning");
    assert_eq!(findings[0]["object"], "Telemetry default/deny");
}

#[tokio::test]
async fn every_problem_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = service("a", 80).replace("port: 80", "port: 70000")
        + &route("b").replace("  - route:", "  - rout:");
    std::fs::write(dir.path().join("rules.yaml"), wrong).unwrap();
    let mut command = bare("validate -f rules.yaml");
    command.current_dir(dir.path());
    let done = run(command, "").await;
    let lines: Vec<_> = done.out.lines().collect();
    assert!(lines[0].starts_with("rules.yaml:10:11:") && lines[0].contains("70000"), "{done:#?}");
    assert!(
        lines[1].starts_with("rules.yaml:20:5: VirtualService default/b: spec.http[0].rout: "),
        "{done:#?}"
    );
    assert!(done.fails(1).contains("error: 2 errors found"));

    let mut command = bare("validate -f rules.yaml -o json");
    command.current_dir(dir.path());
    let done = run(command, "").await;
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["valid"], &report["resources"]), (&false.into(), &0.into()));
    let finding = &report["findings"][1];
    assert_eq!(finding["severity"], "error");
    assert_eq!((&finding["file"], &finding["line"]), (&"rules.yaml".into(), &20.into()));
    assert_eq!(finding["path"], "spec.http[0].rout");
    assert_eq!(done.fails(1), "");
}
