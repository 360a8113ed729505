//! The file of fetched bundles in the state directory: so that a control plane that starts while a publisher is away believes
//! whom it believed before. It is the owner's alone, as whoever could change it could sign for another trust domain.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use meltemi_identity::TrustBundle;

use crate::state_dir::write_private;

const NAME: &str = "spiffe-bundles.json";

pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// By where each was fetched; nothing where there is no file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, TrustBundle>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let kept: BTreeMap<String, String> =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let read = kept.into_iter().map(|(url, pem)| {
        let bundle = TrustBundle::from_pem(&pem).map_err(|error| format!("{url}: {error}"))?;
        Ok((url, bundle))
    });
    read.collect()
}

pub(super) fn write(path: &Path, known: &BTreeMap<String, String>) -> io::Result<()> {
    write_private(path, &serde_json::to_vec(known)?)
}
