//! Programs of others that tests talk to, where the machine has them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The path of a program; `None`, with a note, where it is not installed and the test is to be passed over.
///
/// # Panics
/// Where `MELTEMI_PEERS=required` says that all must be there, as in continuous integration.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
    noted(found, name)
}

/// A Python that has a package: the one that `MELTEMI_PYTHON` names, else the machine's own.
///
/// # Panics
/// As [`program`].
pub fn python_with(package: &str) -> Option<PathBuf> {
    let named = std::env::var_os("MELTEMI_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| "python3".into());
    let import = format!("import {package}");
    let tried = Command::new(&python).args(["-c", &import]).stderr(Stdio::null()).status();
    let has_it = tried.is_ok_and(|status| status.success());
    noted(has_it.then_some(python), &format!("the Python package {package}"))
}

/// Notes a test that is passed over.
fn noted(found: Option<PathBuf>, what: &str) -> Option<PathBuf> {
    if found.is_none() {
        let is_required = std::env::var("MELTEMI_PEERS").is_ok_and(|it| it == "required");
        assert!(!is_required, "{what} is not installed, and MELTEMI_PEERS=required");
        eprintln!("{what} is not installed: its test is passed over");
    }
    found
}
