//! The Python package: its own tests, the seed's program among them, by an interpreter that has the package; and what one
//! program learns of another's calls.

use std::path::Path;

use meltemi_tests::{Mesh, Outcome, PATIENCE, Process, Signal, mesh, peer};
use tokio::process::Command;

/// How long all of them may take.
const LONGEST: std::time::Duration = PATIENCE.saturating_mul(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_python_package_holds_what_its_tests_say() {
    let Some(python) = peer::python_with("meltemi") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut command = Command::new(python);
    command.args(["-X", "faulthandler", "-m", "unittest", "discover", "-s", "python/tests"]);
    command.current_dir(root).env_remove("MELTEMI_STATE_DIR").kill_on_drop(true);
    // Each test bounds its own waits; together they take a quarter of a minute on a machine that has nothing else to do.
    let ended = tokio::time::timeout(LONGEST, command.output()).await;
    let ended = ended.expect("the package's tests end").expect("Python runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("\nOK"), "{}:\n{said}", ended.status);
}

/// Adds up, per service, what the registry knows; of its own calls it makes none, so what it prints others have done.
const LOOK_BACK: &str = r"
import sys, meltemi
where = dict(api=sys.argv[1], token=sys.stdin.read(), trust_bundle=open(sys.argv[2]).read()) if sys.argv[1:] else {}
told = (meltemi.outcomes if where else meltemi.registry.outcomes)(at_least=90, **where)
print(sum(it.calls for it in told), len({it.caller for it in told}), len({it.service for it in told}),
      min(it.success for it in told), all(it.latency('p50') > 0 for it in told), len(meltemi.registry))
try:
    meltemi.outcomes(**{**where, 'token': 'wrong'}) if where else meltemi.outcomes(state_dir='/nowhere')
except (meltemi.RefusedError, meltemi.ControlPlaneError) as error:
    print(type(error).__name__)
";

#[tokio::test(flavor = "multi_thread")]
async fn another_program_asks_the_registry_how_the_seeds_services_did() {
    let Some(python) = peer::python_with("meltemi") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mesh = Mesh::start().await;
    let run = async |arguments: &[&str], input: &str| -> Outcome {
        let mut command = Command::new(&python);
        command.args(arguments).current_dir(root).env("MELTEMI_STATE_DIR", mesh.state());
        let outcome = mesh::run(command, input).await;
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome}");
        outcome
    };
    let seed = run(&["examples/seed.py"], "").await;
    assert!(seed.stdout.starts_with("90 results of 90 calls"), "{seed}");
    let local = run(&["-c", LOOK_BACK], "").await;
    assert_eq!(local.stdout, "90 10 10 1.0 True 0\nControlPlaneError\n", "{local}");

    // From elsewhere: by TLS, roots and a token.
    let roots = mesh.directory().join("roots.pem");
    let roots = roots.to_str().expect("a path of text");
    let made = mesh.command(&["token", "create", "--trust-bundle-out", roots], "").await;
    assert_eq!(made.code, Some(0), "{made}");
    let api = format!("https://{}", mesh.addresses().api);
    let elsewhere = run(&["-c", LOOK_BACK, &api, roots], mesh.api().token()).await;
    assert_eq!(elsewhere.stdout, "90 10 10 1.0 True 0\nRefusedError\n", "{elsewhere}");
}

/// The variables that a sidecar takes name the mesh, and nothing else of it is on the program's machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_program_joins_a_mesh_elsewhere_that_the_environment_names() {
    let Some(python) = peer::python_with("meltemi") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mesh = Mesh::start().await;
    let place = |name: &str| mesh.directory().join(name);
    let roots = place("roots.pem");
    let path = roots.to_str().expect("a path of text");
    let made = mesh.command(&["token", "create", "--trust-bundle-out", path], "").await;
    assert_eq!(made.code, Some(0), "{made}");
    std::fs::write(place("seed.token"), &made.stdout).expect("the token is written");
    let mut command = Command::new(python);
    command.arg("examples/seed.py").current_dir(root).env_remove("MELTEMI_STATE_DIR");
    command.env("MELTEMI_CONTROL", format!("https://{}", mesh.addresses().secure_xds));
    command.env("MELTEMI_TOKEN_FILE", place("seed.token")).env("MELTEMI_TRUST_BUNDLE", roots);
    command.env("XDG_STATE_HOME", place("elsewhere"));
    let seed = mesh::run(command, "").await;
    assert_eq!((seed.code, &*seed.stderr), (Some(0), ""), "{seed}");
    assert!(seed.stdout.starts_with("90 results of 90 calls"), "{seed}");
    let services = seed.stdout.lines().filter(|line| line.starts_with("service-")).count();
    assert_eq!(services, 10, "the callers' table alone: {seed}");
}

/// A service whose answer is what a service beside a sidecar has said.
const BETWEEN: &str = r#"
import signal, threading, meltemi
# What runs in the background of a shell inherits that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
mesh = meltemi.Mesh.local()
def handler(request):
    return {"from": request.caller, "said": between.get("http://hello/echo").status}
between = meltemi.Service("between", 9000, handler=handler).register(mesh=mesh)
print("registered", flush=True)
threading.Event().wait()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_service_stands_between_a_sidecars_caller_and_a_sidecars_service() {
    let Some(python) = peer::python_with("meltemi") else { return };
    let mesh = Mesh::start().await;
    let hello = mesh.http_service("hello", 1).await;
    let mut command = Command::new(python);
    command.args(["-c", BETWEEN]).env("MELTEMI_STATE_DIR", mesh.state());
    let mut program = Process::start("between", command, mesh.directory());
    assert_eq!(program.line().await.as_deref(), Some("registered"));
    let client = mesh.client().await;
    let response = client.http().await.get("http://between:9000/").await;
    let said = response.text();
    assert_eq!(response.status, 200, "{said}");
    assert!(said.contains("spiffe://cluster.local/ns/default/sa/default"), "{said}");
    assert!(said.contains("\"said\": 200"), "{said}");
    assert_eq!(hello.requests(), [1]);
    // Its end is orderly: out of the registry, and no complaint.
    program.signal(Signal::INT);
    mesh.api().healthy("default", "between", 0).await;
    program.ended().await;
    let log = program.log();
    assert!(!log.contains("panicked") && !log.contains("Fatal"), "{log}");
}
