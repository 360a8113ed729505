//! The Python package: its own tests, the seed's program among them, by an interpreter that has the package.

use std::path::Path;

use meltemi_tests::{PATIENCE, peer};
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
