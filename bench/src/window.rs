//! What a load process tells of the window in which it counts.

use std::time::Duration;

use crate::error::BenchError;
use crate::process::Process;
use crate::role::load::{MEASURING, Seen};

/// Waits for the beginning of the load's window.
pub async fn expect_measuring(load: &mut Process, patience: Duration) -> Result<(), BenchError> {
    match load.line(patience).await? {
        said if said == MEASURING => Ok(()),
        said => Err(BenchError::Unclear {
            name: load.name().to_owned(),
            reason: format!("`{MEASURING}` is expected"),
            said,
        }),
    }
}

/// Waits for what the load tells at the end of its window.
pub async fn seen(load: &mut Process, patience: Duration) -> Result<Seen, BenchError> {
    let said = load.line(patience).await?;
    serde_json::from_str(&said).map_err(|error| BenchError::Unclear {
        name: load.name().to_owned(),
        reason: error.to_string(),
        said,
    })
}
