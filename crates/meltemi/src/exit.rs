//! How a command ends when it does not end well, and the exit code that tells so.

use std::process::ExitCode;

/// Why a command did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// What was asked for could not be done: exit code 1. The message says what, where, and what to do.
    Failed(String),
    /// Nothing more is to be said, and this is the exit code: that of a child, or 0 when the reader of the output has
    /// gone.
    Code(i32),
}

/// Tells a failure on standard error, and gives the exit code.
pub fn code(outcome: Result<(), Failure>) -> ExitCode {
    let (message, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Code(code)) => return ExitCode::from(byte(code)),
        Err(Failure::Usage(message)) => (message, 2),
        Err(Failure::Failed(message)) => (message, 1),
    };
    crate::output::complain(&format!("error: {message}"));
    ExitCode::from(code)
}

/// An exit code is one byte: what does not fit into it is told as a failure.
fn byte(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_meaning() {
        let shown = |outcome| format!("{:?}", code(outcome));
        assert_eq!(shown(Ok(())), format!("{:?}", ExitCode::SUCCESS));
        for (failure, expected) in [
            (Failure::Usage("u".to_owned()), 2),
            (Failure::Failed("f".to_owned()), 1),
            (Failure::Code(0), 0),
            (Failure::Code(143), 143),
            (Failure::Code(-1), 1),
            (Failure::Code(256), 1),
        ] {
            assert_eq!(shown(Err(failure)), format!("{:?}", ExitCode::from(expected)));
        }
    }
}
