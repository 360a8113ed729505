//! Finds the programs under test.
//!
//! Cargo tells a test the path of binaries of its own package only, so `meltemi` is looked for where cargo puts it: in
//! the profile's directory, above the test executable. `cargo test --workspace` has built it by then. A run of this
//! crate's tests alone has not, or not after the last change: then it is built here, once, cargo's own lock keeping
//! other processes from doing it twice. `MELTEMI_TEST_BINARY=PATH` has another one tested as it is, for example a
//! release build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The `meltemi` binary, of the profile of this test and as new as its sources.
///
/// # Panics
/// If it cannot be built.
pub fn meltemi() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        if let Some(given) = std::env::var_os("MELTEMI_TEST_BINARY") {
            return PathBuf::from(given);
        }
        let path = profile_directory().join("meltemi");
        if !is_fresh(&path) {
            build(&["-p", "meltemi", "--bin", "meltemi"]);
        }
        assert!(path.is_file(), "{} is not there after a build of it", path.display());
        path
    })
}

/// The test application as a program.
///
/// # Panics
/// If it cannot be built.
pub fn test_app() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = profile_directory().join("meltemi-test-app");
        if !path.is_file() {
            build(&["-p", "meltemi-tests", "--bin", "meltemi-test-app"]);
        }
        path
    })
}

/// `target/PROFILE`: the test executable stands in its `deps`.
fn profile_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its executable");
    let deps = own.parent().expect("an executable stands in a directory");
    deps.parent().filter(|_| deps.ends_with("deps")).unwrap_or(deps).to_owned()
}

/// Whether a binary is as new as every source that its dep-info file names.
fn is_fresh(binary: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    let Some(built) = changed(binary) else { return false };
    let Ok(info) = std::fs::read_to_string(binary.with_extension("d")) else { return false };
    let sources = info.split_once(": ").map_or("", |(_, sources)| sources);
    // Cargo separates paths by spaces and escapes those within.
    let source = |path: &str| PathBuf::from(path.replace("\\ ", " "));
    let is_older = |path: &str| changed(&source(path)).is_some_and(|at: SystemTime| at <= built);
    sources.lines().next().unwrap_or("").split(' ').filter(|path| !path.is_empty()).all(is_older)
}

fn build(what: &[&str]) {
    let directory = profile_directory();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--profile", profile])
        .args(what)
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "cargo build {} failed", what.join(" "));
}
