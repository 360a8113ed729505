//! Log lines go to standard error; `MELTEMI_LOG`, then `RUST_LOG`, say which.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// The environment variables that are asked in turn.
const VARIABLES: [&str; 2] = ["MELTEMI_LOG", "RUST_LOG"];

/// Starts logging. `default` is the filter where no variable gives one.
pub fn start(default: &str) -> Result<(), Failure> {
    let (filter, ansi) = (filter(default)?, stderr().is_terminal());
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(ansi).with_env_filter(filter).init();
    Ok(())
}

fn filter(default: &str) -> Result<EnvFilter, Failure> {
    for name in VARIABLES {
        let Some(text) = std::env::var(name).ok().filter(|text| !text.is_empty()) else {
            continue;
        };
        return text.parse().map_err(|error| {
            let example = "info, or warn,meltemi_proxy=debug";
            Failure::Usage(format!(
                "{name}={text:?} is not a log filter ({error}): use for example {example}"
            ))
        });
    }
    Ok(EnvFilter::new(default))
}
