//! `meltemi demo`: the bookshop's programs by themselves, then the whole with its mesh, and what is left of it.

mod bookshop;
mod left;
mod whole;

use tempfile::TempDir;
use tokio::process::Command;

use crate::mesh::bare;

/// The binary with these arguments and a directory of its own for temporary files, by which its processes are found.
fn command(line: &str, temporary: &TempDir) -> Command {
    let mut command = bare(line);
    command.env("TMPDIR", temporary.path()).env("MELTEMI_LOG", "info");
    // A mesh of the user's own, of which the demo knows nothing.
    command.env("MELTEMI_STATE_DIR", "/nowhere").env("MELTEMI_CONTROL", "https://127.0.0.1:1");
    command.env("MELTEMI_DEMO_RATE", "30").env("HTTP_PROXY", "http://127.0.0.1:1");
    command
}
