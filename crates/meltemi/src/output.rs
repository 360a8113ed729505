//! What commands print. A reader that has gone away (`| head`) ends a command quietly.

use std::io::{ErrorKind, Write, stderr, stdout};

use crate::exit::Failure;

/// Prints a text as it is on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::Code(0);
        }
        Failure::Failed(format!("cannot write to standard output: {error}"))
    })
}

/// Prints a line on standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints a line on standard error. That it cannot be written is no reason to fail.
pub fn complain(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}
