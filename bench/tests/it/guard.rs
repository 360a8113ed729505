//! The guard's command line. What it measures is a release build under valgrind; `.ci/run` does that.

use std::path::Path;
use std::process::{Command, Output};

fn guard(bounds: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi-bench"));
    command.arg("guard").arg("--bounds").arg(bounds).output().unwrap()
}

#[test]
fn bounds_that_cannot_be_read_fail_before_anything_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bounds.json");
    std::fs::write(&file, r#"{"http1-caller": {"instructions": 1, "allocation": 1}}"#).unwrap();
    let output = guard(&file);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("bounds.json") && error.contains("`allocation`"), "{error}");
}

#[cfg(debug_assertions)]
#[test]
fn a_debug_build_is_not_measured() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("bounds.json");
    let output = guard(&stored);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cargo build --release -p meltemi -p meltemi-bench"), "{error}");
}
