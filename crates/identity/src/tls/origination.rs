//! The calling end towards servers that are no members of the mesh: what a DestinationRule's TLS modes `SIMPLE` and `MUTUAL`
//! ask for, made of files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use thiserror::Error;

use super::provider;
use crate::private_file::{self, FileError};

mod verify;

use verify::{NameVerifier, Unchecked};

/// How many servers' sessions one configuration remembers.
const SESSIONS: usize = 32;

/// Why a server outside of the mesh cannot be called over TLS.
#[derive(Debug, Error)]
pub enum OriginationError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{path} holds no {what}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why that is not so.
        reason: String,
    },
    /// Certificate and key are not of one pair.
    #[error("the key in {key} does not belong to the certificate in {certificate}: {reason}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        reason: String,
    },
    /// Nothing to check servers by.
    #[error(
        "this system has no root certificates to check the server by ({0}); name a file in caCertificates"
    )]
    NoRoots(String),
    /// rustls refused it.
    #[error("no TLS configuration can be made: {0}")]
    Tls(#[from] rustls::Error),
    /// The revocation lists are of no use.
    #[error("{path} cannot be used as a revocation list: {reason}")]
    Revocation {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        reason: String,
    },
}

/// The TLS that is spoken with servers outside of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginationSettings {
    /// The files of our certificate (leaf first) and its key; no certificate is shown without them.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The file of the authorities that servers are checked by; the system's roots where it is left out.
    pub ca_certificates: Option<PathBuf>,
    /// The file of the authorities' revocation lists.
    pub ca_crl: Option<PathBuf>,
    /// Names (DNS, IP or URI) of which a server's certificate must bear one; the name that is asked for where there are
    /// none.
    pub subject_alt_names: Vec<String>,
    /// Whether servers are believed without check.
    pub insecure_skip_verify: bool,
}

impl OriginationSettings {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        let all = pair.chain(&self.ca_certificates).chain(&self.ca_crl);
        all.map(PathBuf::as_path)
    }

    /// Reads the files and makes one configuration for each list of application protocols.
    pub fn client_configs(
        &self,
        alpn: &[Vec<Vec<u8>>],
    ) -> Result<Vec<Arc<ClientConfig>>, OriginationError> {
        let config = self.client_config()?;
        let with = |protocols: &Vec<Vec<u8>>| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.clone();
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        };
        Ok(alpn.iter().map(with).collect())
    }

    fn client_config(&self) -> Result<ClientConfig, OriginationError> {
        let builder = ClientConfig::builder_with_provider(provider().clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let Some((certificate, key)) = &self.client_certificate else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate)?;
        let text = private_file::read(key)?;
        let parsed = PrivateKeyDer::from_pem_slice(text.as_bytes());
        let parsed = parsed.map_err(|error| content(key, "private key", error))?;
        builder.with_client_auth_cert(chain, parsed).map_err(|error| OriginationError::Mismatch {
            certificate: certificate.clone(),
            key: key.clone(),
            reason: error.to_string(),
        })
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, OriginationError> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(Unchecked));
        }
        let roots = match &self.ca_certificates {
            Some(path) => Arc::new(roots(path)?),
            None => system_roots()?,
        };
        let mut builder = WebPkiServerVerifier::builder_with_provider(roots, provider().clone());
        if let Some(path) = &self.ca_crl {
            builder = builder.with_crls(revocations(path)?).enforce_revocation_expiration();
        }
        let chain = builder.build().map_err(|error| {
            // The roots are not empty, so it can only be about the lists.
            let path = self.ca_crl.clone().unwrap_or_default();
            OriginationError::Revocation { path, reason: error.to_string() }
        })?;
        match self.subject_alt_names.is_empty() {
            true => Ok(chain),
            false => Ok(Arc::new(NameVerifier::new(chain, self.subject_alt_names.clone()))),
        }
    }
}

fn content(path: &Path, what: &'static str, reason: impl ToString) -> OriginationError {
    OriginationError::Content { path: path.into(), what, reason: reason.to_string() }
}

/// All of one kind in a PEM file: at least one.
fn read_all<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, OriginationError> {
    let text = private_file::read(path)?;
    let read: Result<Vec<T>, _> = T::pem_slice_iter(text.as_bytes()).collect();
    let read = read.map_err(|error| content(path, what, error))?;
    match read.is_empty() {
        true => Err(content(path, what, "no such PEM block in it")),
        false => Ok(read),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OriginationError> {
    read_all(path, "certificate")
}

fn revocations(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, OriginationError> {
    read_all(path, "certificate revocation list")
}

fn roots(path: &Path) -> Result<RootCertStore, OriginationError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| content(path, "usable root certificate", error))?;
    }
    Ok(store)
}

/// The system's roots, read once.
fn system_roots() -> Result<Arc<RootCertStore>, OriginationError> {
    static ROOTS: LazyLock<Result<Arc<RootCertStore>, String>> = LazyLock::new(|| {
        let loaded = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Systems keep some that are of no use by today's rules.
        store.add_parsable_certificates(loaded.certs);
        if store.is_empty() {
            let reasons: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
            return Err(match reasons.is_empty() {
                true => "there are none".to_owned(),
                false => reasons.join("; "),
            });
        }
        Ok(Arc::new(store))
    });
    ROOTS.clone().map_err(OriginationError::NoRoots)
}

#[cfg(test)]
mod tests;
