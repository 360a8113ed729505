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
    command
}
