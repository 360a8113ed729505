//! The trust bundle: the root certificates that a workload's peers must chain to.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::private_file::{self, FileError};

mod spiffe;

pub use spiffe::SpiffeBundle;

/// Why a text is no trust bundle.
#[derive(Debug, Error)]
pub enum BundleError {
    /// No certificate in it: such a bundle would trust nobody.
    #[error(
        "the trust bundle holds no certificate; expected PEM blocks `-----BEGIN CERTIFICATE-----`"
    )]
    Empty,
    /// A block that is not PEM, or not base64.
    #[error("the trust bundle is not PEM: {0}")]
    Pem(String),
    /// Bytes that are no certificates.
    #[error("the trust bundle is not DER: {0}")]
    Der(String),
    /// No document of a SPIFFE bundle endpoint.
    #[error("it is no SPIFFE bundle: {0}")]
    Spiffe(String),
    /// A certificate that cannot serve as a root.
    #[error("certificate {position} of the trust bundle cannot be used as a root: {reason}")]
    Root {
        /// Counted from one.
        position: usize,
        /// What the parser said.
        reason: String,
    },
    /// The file that holds the bundle.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Root certificates; several while a root is being replaced.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    roots: Vec<CertificateDer<'static>>,
    /// The same roots as rustls verifies against, parsed once.
    store: Arc<RootCertStore>,
}

impl TrustBundle {
    /// Takes root certificates; duplicates are dropped.
    pub fn new(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, BundleError> {
        let mut kept: Vec<CertificateDer<'static>> = Vec::new();
        let mut store = RootCertStore::empty();
        for root in roots {
            if kept.contains(&root) {
                continue;
            }
            store.add(root.clone()).map_err(|error| BundleError::Root {
                position: kept.len() + 1,
                reason: error.to_string(),
            })?;
            kept.push(root);
        }
        if kept.is_empty() {
            return Err(BundleError::Empty);
        }
        Ok(TrustBundle { roots: kept, store: Arc::new(store) })
    }

    /// Reads one or several PEM certificates; other PEM blocks are skipped.
    pub fn from_pem(pem: &str) -> Result<Self, BundleError> {
        let roots = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| BundleError::Pem(pem_reason(&error)))?;
        Self::new(roots)
    }

    /// Reads certificates in DER, one after the other, as the SPIFFE Workload API sends them.
    pub fn from_der(der: &[u8]) -> Result<Self, BundleError> {
        Self::new(certificates_of(der).map_err(BundleError::Der)?)
    }

    /// All roots as PEM, one after the other.
    pub fn to_pem(&self) -> String {
        self.roots.iter().map(|root| certificate_pem(root)).collect()
    }

    /// The roots, DER.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// SHA-256 of each root, hex, as `openssl x509 -fingerprint -sha256` shows it without colons.
    pub fn fingerprints(&self) -> Vec<String> {
        let hash = |root: &CertificateDer<'_>| digest(&SHA256, root);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.roots.iter().map(|root| hex(hash(root).as_ref())).collect()
    }

    /// This bundle and the roots of another: what peers trust while a root is being replaced.
    pub fn with(&self, other: &TrustBundle) -> Result<Self, BundleError> {
        Self::new(self.roots.iter().chain(&other.roots).cloned())
    }

    /// Writes the bundle as PEM, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), BundleError> {
        Ok(private_file::write_public(path, self.to_pem().as_bytes())?)
    }

    /// Reads a bundle from a PEM file.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        Self::from_pem(&private_file::read(path)?)
    }

    pub(crate) fn store(&self) -> &Arc<RootCertStore> {
        &self.store
    }
}

impl PartialEq for TrustBundle {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots
    }
}

impl Eq for TrustBundle {}

/// Takes certificates apart that stand in DER one after the other.
pub(crate) fn certificates_of(mut der: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    while !der.is_empty() {
        let (rest, _) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let (certificate, rest) = der.split_at(der.len() - rest.len());
        certificates.push(CertificateDer::from(certificate.to_vec()));
        der = rest;
    }
    Ok(certificates)
}

/// What is wrong with a PEM text. The library shows lines of it as numbers; none is shown here, as it may be of a key.
pub(crate) fn pem_reason(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            format!("it is cut off: no line `-----END {label}-----` ends what begins there")
        }
        PemError::IllegalSectionStart { .. } => {
            "a line that begins with `-----BEGIN ` does not end with `-----`".to_owned()
        }
        PemError::NoItemsFound => "there is no such PEM block in it".to_owned(),
        error => error.to_string(),
    }
}

/// One certificate as a PEM block.
pub(crate) fn certificate_pem(der: &CertificateDer<'_>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der.to_vec()), config)
}
