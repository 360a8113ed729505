//! `control.json` while a control plane runs: written when all servers answer, with new roots when the CA has some, gone at the stop.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::control_file::ControlFile;

/// What commands of this machine are told. One lock goes over the file too, so that none is left after the stop.
#[derive(Debug)]
pub(crate) struct Announced {
    state_dir: PathBuf,
    /// `None` before the start is done, and from the stop on.
    file: Mutex<Option<ControlFile>>,
}

impl Announced {
    /// Takes away what a control plane that was killed has left: it would send commands to ports that are not ours.
    pub(crate) fn new(state_dir: &Path) -> io::Result<Self> {
        ControlFile::remove(state_dir)?;
        Ok(Announced { state_dir: state_dir.into(), file: Mutex::default() })
    }

    /// Says where the control plane is.
    pub(crate) fn write(&self, file: ControlFile) -> io::Result<()> {
        let mut told = self.file.lock();
        file.write(&self.state_dir)?;
        *told = Some(file);
        Ok(())
    }

    /// Says which roots it is known by, if that is news: workloads that join by the file, and kubeconfigs that are made of it, would
    /// know it no longer.
    pub(crate) fn tell_roots(&self, pem: String) {
        let mut told = self.file.lock();
        let Some(file) = told.as_mut().filter(|file| file.trust_bundle != pem) else { return };
        file.trust_bundle = pem;
        if let Err(error) = file.write(&self.state_dir) {
            tracing::error!(%error, "control.json could not be written with the new roots: new workloads of this machine cannot join; restart the control plane");
        }
    }

    /// Says no longer where it is.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut told = self.file.lock();
        *told = None;
        ControlFile::remove(&self.state_dir)
    }
}
