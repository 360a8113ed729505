//! A control plane in the program itself, for tests, examples and a first look: it goes with the program.

use std::path::PathBuf;

use meltemi_control::{Addresses, AuditChoice, ControlPlane, Options, StoreChoice};
use meltemi_names::DEFAULT_TRUST_DOMAIN;
use tempfile::TempDir;

use crate::error::Error;

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
            .prefix("meltemi-embedded-")
            .tempdir()
            .map_err(|error| failed(&error))?;
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
