//! A control plane in the program itself, for tests, examples and a first look: it goes with the program.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use meltemi_control::{
    Addresses, AuditChoice, ControlPlane, Options, StoreChoice, remove_abandoned,
};
use meltemi_names::DEFAULT_TRUST_DOMAIN;
use tempfile::TempDir;

use crate::error::Error;

/// How the directories' names begin, among what is temporary.
const PREFIX: &str = "meltemi-embedded-";

/// A control plane, and the directory that holds its keys.
#[derive(Debug)]
pub(crate) struct Plane {
    _plane: ControlPlane,
    // Removed after the control plane has ended.
    dir: TempDir,
}

impl Plane {
    /// Starts one on free ports of the loopback.
    pub(crate) async fn start() -> Result<Plane, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Embedded(error.to_string());
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| failed(&error))?;
        let own = dir.path().to_owned();
        let cleared = tokio::task::spawn_blocking(move || clear_abandoned(&own));
        cleared.await.map_err(|error| failed(&error))?;
        let domain = DEFAULT_TRUST_DOMAIN
            .parse()
            .map_err(|error: meltemi_names::SpiffeIdError| failed(&error))?;
        let options = Options {
            store: StoreChoice::Memory,
            audit_log: AuditChoice::Off,
            addresses: Addresses { xds: None, dns: None, monitoring: None, ..Addresses::free() },
            ..Options::new(dir.path(), domain)
        };
        let plane = ControlPlane::start(options).await.map_err(|error| failed(&error))?;
        Ok(Plane { _plane: plane, dir })
    }

    /// Where it keeps its keys, and says where it listens.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().into()
    }
}

/// Removes the directories beside our own that programs of the same user have left which were killed: they hold keys.
fn clear_abandoned(own: &Path) {
    let Some((parent, about)) = own.parent().zip(own.metadata().ok()) else { return };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in
        entries.filter(|it| it.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()))
    {
        let path = entry.path();
        match remove_abandoned(&path, about.uid()) {
            Ok(true) => tracing::info!(path = %path.display(), "removed: its program was killed"),
            Ok(false) => {}
            // As when another program has just removed it.
            Err(error) => tracing::debug!(path = %path.display(), %error, "left as it is"),
        }
    }
}
