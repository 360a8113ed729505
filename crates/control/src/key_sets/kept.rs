//! The file of fetched keys in the state directory: so that a control plane that starts while an issuer is away knows its
//! keys. They are public; but whoever could change them could sign for the issuer, so that the file is the owner's alone.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meltemi_model::KeySource;
use meltemi_policy::jwt::KeySet;
use serde::{Deserialize, Serialize};

use crate::state_dir::write_private;

const NAME: &str = "key-sets.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Arc<str>>,
    jwks: Arc<str>,
}

pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// What the file holds; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<BTreeMap<KeySource, Arc<str>>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let kept: Vec<Kept> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let usable = kept.into_iter().filter(|it| KeySet::public_part(&it.jwks).is_ok());
    let named = usable.filter_map(|it| {
        let source = match (it.jwks_uri, it.issuer) {
            (Some(uri), None) => KeySource::Uri(uri),
            (None, Some(issuer)) => KeySource::Issuer(issuer),
            _ => return None,
        };
        Some((source, it.jwks))
    });
    Ok(named.collect())
}

pub(super) fn write(path: &Path, known: &BTreeMap<KeySource, Arc<str>>) -> io::Result<()> {
    let kept = known.iter().map(|(source, jwks)| {
        let jwks = jwks.clone();
        match source.clone() {
            KeySource::Uri(uri) => Kept { jwks_uri: Some(uri), issuer: None, jwks },
            KeySource::Issuer(issuer) => Kept { jwks_uri: None, issuer: Some(issuer), jwks },
        }
    });
    write_private(path, &serde_json::to_vec(&kept.collect::<Vec<_>>())?)
}
