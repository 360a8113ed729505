//! Programs of others that tests talk to, where the machine has them.

use std::path::PathBuf;

/// The path of a program; `None`, with a note, where it is not installed and the test is to be passed over.
///
/// # Panics
/// Where `MELTEMI_PEERS=required` says that all must be there, as in continuous integration.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
    if found.is_none() {
        let is_required = std::env::var("MELTEMI_PEERS").is_ok_and(|it| it == "required");
        assert!(!is_required, "{name} is not installed, and MELTEMI_PEERS=required");
        eprintln!("{name} is not installed: its test is passed over");
    }
    found
}
