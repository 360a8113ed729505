//! `meltemi demo`: a control plane, the bookshop with a sidecar beside each of its programs, and steady traffic, each its
//! own process on loopback; figures as the sidecars tell them; at the end nothing is left.
//!
//! The way through it: a directory for all (`home`), the processes in their order (`mesh`, from `plan`), figures while the
//! shopper shops (`scene`, `figures`, `table`), the sum of it (`summary`), and the end of everything (`mesh`, `janitor`).

mod child;
mod error;
mod figures;
mod home;
mod interrupts;
mod janitor;
mod launch;
mod mesh;
mod plan;
mod ports;
mod ready;
mod registry;
mod scene;
mod sidecar;
mod summary;
mod table;

use std::num::NonZeroU32;
use std::time::Duration;

pub use error::DemoError;
use home::Home;
use interrupts::Interrupts;
pub use janitor::clear;
use mesh::Mesh;
use scene::Scene;
pub use summary::Summary;

/// What is shown, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the traffic flows; without it until the demo is interrupted.
    pub duration: Option<Duration>,
    /// Requests a second.
    pub rate: NonZeroU32,
    /// Whether a live table goes to standard output.
    pub live: bool,
}

/// Shows the demo. Gives the sum of it; when it returns, no process, socket or directory of it is left.
///
/// # Errors
/// When something did not come up, or the demo was interrupted before the traffic began.
pub async fn show(options: Options) -> Result<Summary, DemoError> {
    let mut interrupts = Interrupts::listen()?;
    let home = Home::make().await?;
    let mut mesh = Mesh::default();
    let mut again = interrupts.clone();
    let (outcome, forced) = tokio::select! {
        outcome = play(&options, &home, &mut mesh, &mut interrupts) => (outcome, false),
        () = again.second() => (Err(DemoError::Interrupted), true),
    };
    let forced = forced
        || tokio::select! {
            () = mesh.stop() => false,
            () = again.second() => true,
        };
    home.close(forced).await?;
    outcome
}

async fn play(
    options: &Options,
    home: &Home,
    mesh: &mut Mesh,
    interrupts: &mut Interrupts,
) -> Result<Summary, DemoError> {
    tokio::select! {
        started = mesh.start(home) => started?,
        () = interrupts.first() => return Err(DemoError::Interrupted),
    }
    Scene::new(options, home, mesh).play(interrupts).await
}
