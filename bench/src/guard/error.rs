//! Why the guard did not say that all is well.

use std::path::PathBuf;

/// Why the guard did not say that all is well.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The build has another price.
    #[error(
        "the guard's bounds are those of release builds, and this is none: run \
         `cargo build --release -p meltemi -p meltemi-bench`, then `cargo run --release -p meltemi-bench -- guard`"
    )]
    Unoptimised,
    /// There is nothing to measure.
    #[error("there is nothing to measure: {0}")]
    Missing(String),
    /// valgrind cannot be started.
    #[error("`{program}` cannot be run ({reason}): install valgrind (apt-get install valgrind)")]
    NoValgrind {
        /// Which of its programs.
        program: &'static str,
        /// What happened instead.
        reason: String,
    },
    /// valgrind did not do what it was told.
    #[error("callgrind did not obey `{command}` in process {pid}: {reason}")]
    Disobeyed {
        /// The command.
        command: &'static str,
        /// The proxy.
        pid: u32,
        /// What happened instead.
        reason: String,
    },
    /// A profile is not what was expected.
    #[error("the profile {} cannot be read: {reason}", file.display())]
    Profile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Allocations cannot be seen.
    #[error(
        "no call of the allocator is seen while connections are opened: `meltemi` must not be stripped of its symbols, \
         and the allocator's functions must be those in bench/src/guard/profile.rs"
    )]
    NoSymbols,
    /// A request did not succeed.
    #[error("request {number} failed: {reason}")]
    Request {
        /// Which, from 1, on its way of warming up or measuring.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The file of bounds is unusable.
    #[error("the bounds in {} cannot be {what}: {reason}", file.display())]
    Bounds {
        /// The file.
        file: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// A request costs more than it may.
    #[error(
        "a request costs more than its bound:\n  {}\nLook for the cause with `--profiles DIR` and `callgrind_annotate` \
         (bench/README.md, The guard). If the cost is wanted, raise the bounds with `--update` and give the reason in \
         the commit.",
        .0.join("\n  ")
    )]
    Exceeded(Vec<String>),
}
