//! `control.json`: where a running control plane listens, what it is trusted by, and the token of its API.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meltemi_model::read::extension_providers;
use meltemi_policy::authz::provider::Provider;
use meltemi_policy::path::Normalization;
use serde::{Deserialize, Serialize};

use crate::listen::Bound;
use crate::options::Options;
use crate::state_dir::write_private;

/// Its name in the state directory.
const NAME: &str = "control.json";

/// Why a control plane is not known here.
#[derive(Debug, thiserror::Error)]
pub enum ControlFileError {
    /// There is none.
    #[error(
        "no control plane runs with the state directory {0}: start one with `meltemi control`, or name another with --state-dir"
    )]
    Missing(PathBuf),
    /// It is another user's.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It was not written by a control plane of this version.
    #[error("{path} is not the file of a control plane: {reason}; restart `meltemi control`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What commands on the same machine, of the same user, have to know of a running control plane. Addresses are ones
/// that can be connected to.
#[derive(Clone, Serialize, Deserialize)]
pub struct ControlFile {
    /// The API, HTTP.
    pub api: SocketAddr,
    /// Discovery in plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xds: Option<SocketAddr>,
    /// Discovery, registration and certificates over TLS.
    pub secure_xds: SocketAddr,
    /// The name server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// Metrics and health, HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<SocketAddr>,
    /// The mesh's root certificates, PEM.
    pub trust_bundle: String,
    /// The mesh's trust domain.
    pub trust_domain: String,
    /// Further names of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_domain_aliases: Vec<String>,
    /// The DNS suffix of the mesh's services.
    pub domain_suffix: String,
    /// How proxies normalise paths.
    #[serde(default)]
    pub path_normalization: Normalization,
    /// The authorizers that policies may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extension_providers: Vec<Arc<Provider>>,
    /// The audit log, if there is one: commands that make tokens by themselves append to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<PathBuf>,
    /// The API's token.
    pub token: String,
    /// The control plane's process.
    pub pid: u32,
}

impl ControlFile {
    /// Reads it from a state directory.
    ///
    /// # Errors
    /// When no control plane runs there, or the file is not readable.
    pub fn read(state_dir: &Path) -> Result<Self, ControlFileError> {
        let path = state_dir.join(NAME);
        let text = std::fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ControlFileError::Missing(state_dir.into()),
            _ => ControlFileError::Read { path: path.clone(), source },
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| ControlFileError::Malformed { path, reason: error.to_string() })
    }

    /// The file of this process. Where a listener takes every address, commands are told the loopback.
    pub(crate) fn new(
        bound: &Bound,
        options: &Options,
        trust_bundle: String,
        token: String,
        audit_log: Option<PathBuf>,
    ) -> Self {
        ControlFile {
            api: reachable(bound.api),
            xds: bound.xds.map(reachable),
            secure_xds: reachable(bound.secure_xds),
            dns: bound.dns.map(reachable),
            monitoring: bound.monitoring.map(reachable),
            trust_bundle,
            trust_domain: options.trust_domain.to_string(),
            trust_domain_aliases: options.mesh_config.trust_domain_aliases.clone(),
            domain_suffix: options.domain_suffix.clone(),
            path_normalization: options.path_normalization,
            extension_providers: extension_providers(options.mesh_config.clone()),
            audit_log,
            token,
            pid: std::process::id(),
        }
    }

    /// Writes it, mode 0600.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        write_private(&state_dir.join(NAME), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes it; one that is not there is no error.
    pub(crate) fn remove(state_dir: &Path) -> io::Result<()> {
        match std::fs::remove_file(state_dir.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ControlFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlFile")
            .field("api", &self.api)
            .field("secure_xds", &self.secure_xds)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_commands_are_told_an_address_that_they_can_connect_to() {
        for (bound, told) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()), told.parse().unwrap());
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let message = ControlFile::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("meltemi control"), "{message}");
        std::fs::write(dir.path().join(NAME), "{}").unwrap();
        let message = ControlFile::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("control.json") && message.contains("api"), "{message}");
        ControlFile::remove(dir.path()).unwrap();
        ControlFile::remove(dir.path()).unwrap();
    }
}
