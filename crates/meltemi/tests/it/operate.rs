//! `meltemi status`, `kubeconfig`, `completion`, and the command line itself; some with a real control plane.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::mesh::{Mesh, Run, bare, run, service};

/// A real control plane on free ports.
struct Control {
    home: tempfile::TempDir,
    child: Child,
    secure_xds: String,
    api: String,
}

const ON_FREE_PORTS: &str =
    "control --output json --api :0 --xds :0 --secure-xds :0 --dns :0 --monitoring :0";
/// How long a command may take that must end.
const PATIENCE: Duration = Duration::from_secs(30);

impl Control {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// Starts one with what is there already. What it says is in the file `log`.
    async fn start_in(home: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let mut command = bare(ON_FREE_PORTS);
        let mut child = command
            .env("MELTEMI_STATE_DIR", home.path().join("state"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("it says when it is ready");
        let told: Value = serde_json::from_str(&line).unwrap();
        let secure_xds = told["secure_xds"].as_str().unwrap().to_owned();
        let api = told["api"].as_str().unwrap().to_owned();
        Self { home, child, secure_xds, api }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = bare(line);
        command
            .current_dir(self.home.path())
            .env("MELTEMI_STATE_DIR", self.home.path().join("state"));
        command
    }

    async fn run(&self, line: &str, input: &str) -> Run {
        run(self.command(line), input).await
    }

    async fn stop(&mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        self.child.wait().await.unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

#[tokio::test]
async fn a_control_plane_whose_store_is_lost_warns_that_nothing_is_left() {
    let mut control = Control::start().await;
    assert!(!control.log().contains("is not there"), "{}", control.log());
    control.stop(Signal::TERM).await;
    std::fs::remove_file(control.home.path().join("state/store.redb")).unwrap();
    let control = Control::start_in(control.home).await;
    let log = control.log();
    let warned = log.lines().any(|line| {
        ["WARN", "store.redb", "is not there", "from a copy"].iter().all(|it| line.contains(it))
    });
    assert!(warned, "{log}");
}

/// How a start fails with one file of the state directory as it is now.
async fn refused_start(home: &Path) -> String {
    let mut command = bare(ON_FREE_PORTS);
    command.env("MELTEMI_STATE_DIR", home.join("state"));
    run(command, "").await.fails(1)
}

#[tokio::test]
async fn a_damaged_state_directory_is_told_in_words_that_help() {
    let mut control = Control::start().await;
    control.stop(Signal::TERM).await;
    let home = control.home.path();
    let spent = home.join("state/spent-tokens");
    std::fs::write(&spent, [0xff; 20]).unwrap();
    let error = refused_start(home).await;
    assert!(error.contains("tokens that were used") && error.contains("from a copy"), "{error}");
    std::fs::remove_file(&spent).unwrap();

    std::fs::write(home.join("state/ca/root-key.pem"), "").unwrap();
    std::fs::write(home.join("state/admin.token"), [0xff; 20]).unwrap();
    let control = Control::start_in(control.home).await;
    let log = control.log();
    let warned = |part: &str| log.lines().any(|it| it.contains("WARN") && it.contains(part));
    assert!(warned("root key cannot be used") && warned("a new one is made"), "{log}");

    let mut wrong = bare("control --domain-suffix a..b");
    wrong.env("MELTEMI_STATE_DIR", control.home.path().join("other"));
    assert!(run(wrong, "").await.fails(2).contains("no DNS name"));
    let long = format!("proxy --service a --port 80 --name {}", "n".repeat(70));
    let error = control.run(&long, "").await.fails(2);
    assert!(error.contains("at most 63"), "{error}");
}

#[tokio::test]
async fn a_mesh_needs_no_flags_on_one_machine() {
    let mut control = Control::start().await;
    let told = control.run("apply -f -", &service("hello", 80)).await.succeeds();
    assert_eq!(told, "service/hello created\n");
    assert_eq!(control.run("get svc -o name", "").await.succeeds(), "service/hello\n");

    let text = control.run("status", "").await.succeeds();
    assert!(text.contains(" ready\n") && text.contains("Proxies:       0 connected\n"), "{text}");
    let report = control.run("status --output json", "").await.succeeds();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["server_version"], env!("CARGO_PKG_VERSION"));
    for (field, expected) in
        [("ready", Value::from(true)), ("services", 1.into()), ("connected_proxies", 0.into())]
    {
        assert_eq!(report[field], expected, "{report}");
    }

    control.stop(Signal::KILL).await;
    let error = control.run("status", "").await.fails(1);
    assert!(
        error.contains("no control plane answers") && error.contains("`meltemi control`"),
        "{error}"
    );
    let done = control.run("status --output json", "").await;
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["reachable"], false);
    assert!(report["error"].as_str().unwrap().contains("no control plane answers"), "{report}");
    assert_eq!(done.fails(1), "");
}

#[tokio::test]
async fn a_control_plane_that_was_stopped_is_not_looked_for() {
    let mut control = Control::start().await;
    control.stop(Signal::TERM).await;
    let error = control.run("get svc", "").await.fails(1);
    assert!(error.contains("no control plane") && error.contains("`meltemi control`"), "{error}");
    let done = control.run("status --output json", "").await;
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["reachable"], &report["api"]), (&false.into(), &Value::Null));
    assert!(report["error"].as_str().unwrap().contains("no control plane"), "{report}");
    assert_eq!(done.fails(1), "");
}

#[tokio::test]
async fn what_is_set_aside_is_told_by_describe_status_and_analyze() {
    let control = Control::start().await;
    let entry = |name: &str, host: &str| {
        format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{{number: 443, name: tls, protocol: TLS}}]
---
"
        )
    };
    let both = entry("first", "api.example.com") + &entry("second", "api.example.com");
    control.run("apply -f -", &both).await.succeeds();
    let warning = "Warning:      set aside: host api.example.com is ServiceEntry default/first's";
    let text = control.run("describe serviceentry second", "").await.succeeds();
    assert!(text.contains(warning), "{text}");
    let text = control.run("describe serviceentry first", "").await.succeeds();
    assert!(!text.contains("Warning:"), "{text}");
    let line = "1 resource\n  ServiceEntry default/second: host api.example.com is";
    let text = control.run("status", "").await.succeeds();
    assert!(text.contains(line), "{text}");
    let report = control.run("status -o json", "").await.succeeds();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["rejected"][0]["name"], "second", "{report}");
    assert_eq!(report["rejected_resources"], 1, "{report}");
    let line = "error: ServiceEntry default/second: host api.example.com is";
    let run = control.run("analyze", "").await;
    assert!(run.out.starts_with(line) && run.out.ends_with("[SetAside]\n"), "{run:#?}");
    assert!(run.fails(1).contains("1 error and 0 warnings"));
}

#[tokio::test]
async fn a_key_of_the_ca_that_others_can_read_is_refused() {
    let mut control = Control::start().await;
    control.stop(Signal::TERM).await;
    let key = control.home.path().join("state/ca/ca-key.pem");
    let before = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = tokio::time::timeout(PATIENCE, control.run(ON_FREE_PORTS, "")).await;
    let error = ended.expect("it does not start").fails(1);
    let remedy = format!("chmod 600 {}", key.display());
    assert!(error.contains("mode 0644") && error.contains(&remedy), "{error}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[tokio::test]
async fn a_token_and_the_trust_bundle_are_all_that_another_machine_needs() {
    let mut control = Control::start().await;
    let create = "token create --service-account web --trust-bundle-out mesh.pem";
    let token = control.run(create, "").await.succeeds();
    std::fs::write(control.home.path().join("web.token"), token).unwrap();
    let join = format!(
        "run --state-dir elsewhere --control https://{} --token-file web.token --trust-bundle mesh.pem \
         --service-account web --outbound :0 --inbound :0 --admin :0 --metrics :0 --health :0 -- /bin/true",
        control.secure_xds
    );
    let joined = tokio::time::timeout(PATIENCE, control.run(&join, "")).await;
    let joined = joined.expect("it joins in time");
    assert_eq!(joined.code, Some(0), "{}", joined.err);

    let error = control.run("token create --trust-bundle-out no/such/dir", "").await.fails(1);
    assert!(error.contains("--trust-bundle-out no/such/dir"), "{error}");
    control.stop(Signal::TERM).await;
    let error = control.run(create, "").await.fails(1);
    assert!(error.contains("no control plane runs"), "{error}");
}

#[tokio::test]
async fn people_use_the_api_by_their_own_tokens_and_roles() {
    let mut control = Control::start().await;
    for (user, role) in [("ed", "editor"), ("vi", "viewer")] {
        let make = format!("token access {user} --role {role} --name {user}-1");
        let token = control.run(&make, "").await.succeeds();
        std::fs::write(control.home.path().join(user), token).unwrap();
    }
    let refused = control.run("token access vi --role veiwer", "").await.fails(1);
    assert!(refused.contains("no ClusterRole `veiwer`"), "{refused}");
    let hello = service("hello", 80);
    let refused = control.run("apply -f - --token-file vi", &hello).await.fails(1);
    assert!(refused.contains("User \"vi\" cannot patch resource \"services\""), "{refused}");
    control.run("apply -f - --token-file ed", &hello).await.succeeds();
    for user in ["ed", "vi"] {
        let listed = control.run(&format!("get services -o name --token-file {user}"), "").await;
        assert_eq!(listed.succeeds(), "service/hello\n");
    }
    control.run("kubeconfig --output config --token-file vi", "").await.succeeds();
    let config = control.home.path().join("config");
    match kubectl(&config, &["auth", "can-i", "list", "services"]).await {
        Some(answer) => {
            assert_eq!(answer.succeeds(), "yes\n");
            let refused = kubectl(&config, &["auth", "can-i", "delete", "services"]).await.unwrap();
            assert_eq!(refused.out, "no\n");
            let deleted = kubectl(&config, &["delete", "service", "hello"]).await.unwrap();
            assert!(deleted.fails(1).contains("Forbidden"));
            let who = kubectl(&config, &["auth", "whoami", "-o", "yaml"]).await.unwrap();
            assert!(who.succeeds().contains("username: vi"));
        }
        None => eprintln!("kubectl is not installed: this part of the test is passed over"),
    }
    control.run("kubeconfig --output admin", "").await.succeeds();
    let admin = control.home.path().join("admin");
    for line in [
        "describe clusterrole editor",
        "create serviceaccount bot",
        "create role reader --verb=get,list --resource=services",
        "create rolebinding bot-reader --role=reader --serviceaccount=default:bot",
        "create clusterrole all --verb=get --non-resource-url=/meltemi/v1/*",
        "create clusterrolebinding bot-all --clusterrole=all --serviceaccount=default:bot",
        "create token bot --duration=10m",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        if let Some(done) = kubectl(&admin, &words).await {
            std::fs::write(control.home.path().join("bot"), done.succeeds()).unwrap();
        }
    }
    if control.home.path().join("bot").exists() {
        control.run("get services --token-file bot", "").await.succeeds();
        control.run("get secrets --token-file bot", "").await.fails(1);
    }
    // The same over TLS, as from another machine: nothing is known there but the address, a token and the roots.
    control.run("token create --trust-bundle-out mesh.pem", "").await.succeeds();
    let elsewhere = format!(
        "--state-dir elsewhere --api https://{} --token-file vi --trust-bundle mesh.pem",
        control.api
    );
    let listed = control.run(&format!("get services -o name {elsewhere}"), "").await.succeeds();
    assert_eq!(listed, "service/hello\n");
    control.run(&format!("kubeconfig --output tls {elsewhere}"), "").await.succeeds();
    if let Some(listed) =
        kubectl(&control.home.path().join("tls"), &["get", "services", "-o", "name"]).await
    {
        assert_eq!(listed.succeeds(), "service/hello\n");
    }
    let list = control.run("token list", "").await.succeeds();
    assert!(list.contains("ed-1") && list.contains("vi-1"), "{list}");
    assert_eq!(control.run("token revoke vi-1", "").await.succeeds(), "vi-1 revoked\n");
    let refused = control.run("get services --token-file vi", "").await.fails(1);
    assert!(refused.contains("revoked"), "{refused}");
    control.stop(Signal::TERM).await;
    let audit = std::fs::read_to_string(control.home.path().join("state/audit.log")).unwrap();
    let verbs: Vec<_> = audit
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["user"]["username"] == "ed")
        .map(|event| event["verb"].as_str().unwrap().to_owned())
        .collect();
    assert!(verbs.contains(&"patch".to_owned()) && verbs.contains(&"list".to_owned()), "{audit}");
}

#[tokio::test]
async fn kubectl_uses_the_kubeconfig() {
    let mesh = Mesh::start().await;
    mesh.apply(&service("hello", 80)).await;
    // Over plaintext the token can stand nowhere but in the URL, which is said.
    let done = mesh.run("kubeconfig --output config").await;
    assert!(done.code == Some(0) && done.err.contains("kubectl prints"), "{}", done.err);
    let path = mesh.home.path().join("config");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(mesh.run("kubeconfig").await.out, std::fs::read_to_string(&path).unwrap());
    mesh.write("other", "clusters: []\n");
    let error = mesh.run("kubeconfig -o other").await.fails(1);
    assert!(error.contains("other exists"), "{error}");

    match kubectl(&path, &["get", "services", "-o", "name"]).await {
        Some(listed) => assert_eq!(listed.succeeds(), "service/hello\n"),
        None => eprintln!("kubectl is not installed: this part of the test is passed over"),
    }
}

/// By TLS, so that the token is a bearer token; also of a control plane whose root was replaced while it ran.
#[tokio::test]
async fn a_kubeconfig_keeps_the_token_out_of_the_url() {
    let control = Control::start().await;
    let home = control.home.path();
    let token = std::fs::read_to_string(home.join("state/admin.token")).unwrap();
    let told = || -> Value {
        let text = std::fs::read(home.join("state/control.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let first = told()["trust_bundle"].as_str().unwrap().to_owned();
    for step in ["", "ca rotate", "ca retire --force"] {
        if !step.is_empty() {
            let done = control.run(step, "").await;
            assert_eq!(done.code, Some(0), "{step}: {}", done.err);
        }
        control.run("kubeconfig --output config", "").await.succeeds();
        let config = home.join("config");
        let text = std::fs::read_to_string(&config).unwrap();
        for part in [&format!("server: https://{}", control.api), "certificate-authority-data:"] {
            assert!(text.contains(part), "{step}: {text}");
        }
        assert_eq!(text.matches(&token).count(), 1, "the user's alone: {text}");
        let Some(info) = kubectl(&config, &["cluster-info", "-v=6"]).await else { continue };
        let shown = format!("{}{}", info.out, info.err);
        assert!(shown.contains(&control.api) && !shown.contains(&token), "{step}: {shown}");
        let who = kubectl(&config, &["auth", "whoami", "-o", "yaml"]).await.unwrap().succeeds();
        assert!(who.contains("username: admin"), "{step}: {who}");
    }
    assert_ne!(told()["trust_bundle"], first.as_str(), "new workloads are told of the new root");

    // Who names the address gets the token of this state directory, or is told that there is none.
    control.run("token create --trust-bundle-out mesh.pem", "").await.succeeds();
    let named = format!("kubeconfig --api https://{} --trust-bundle mesh.pem", control.api);
    assert!(control.run(&named, "").await.succeeds().contains(&token));
    let error = control.run(&format!("{named} --state-dir elsewhere"), "").await.fails(1);
    assert!(error.contains("--token-file"), "{error}");
}

/// Runs kubectl, where there is one.
async fn kubectl(config: &Path, arguments: &[&str]) -> Option<Run> {
    let mut command = Command::new("kubectl");
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH")?)
        .env("HOME", config.parent()?)
        .env("KUBECONFIG", config);
    command.output().await.ok().map(Run::of)
}

#[tokio::test]
async fn shells_get_their_scripts() {
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef meltemi"), ("fish", "complete -c meltemi")]
    {
        let script = run(bare(&format!("completion {shell}")), "").await.succeeds();
        assert!(script.contains(part) && script.contains("kubeconfig"), "{shell}");
    }
    assert!(run(bare("completion tcsh"), "").await.fails(2).contains("bash"));
}

#[tokio::test]
async fn help_and_wrong_usage() {
    for line in [
        "apply",
        "delete",
        "get",
        "describe",
        "validate",
        "status",
        "kubeconfig",
        "completion",
        "control",
        "token",
    ] {
        let help = run(bare(&format!("{line} --help")), "").await.succeeds();
        assert!(help.contains("Example") && help.contains(&format!("meltemi {line}")), "{help}");
    }
    let version = run(bare("--version"), "").await.succeeds();
    assert_eq!(version, format!("meltemi {}\n", env!("CARGO_PKG_VERSION")));
    assert!(run(bare(""), "").await.fails(2).contains("Usage: meltemi"));
    let mut command = bare("validate -f -");
    command.env("MELTEMI_LOG", "a=b=c");
    let error = run(command, "").await.fails(2);
    assert!(error.contains("MELTEMI_LOG"), "{error}");
}
