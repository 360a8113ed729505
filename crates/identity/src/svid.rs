//! The SVID: a workload's SPIFFE certificate, its chain and its private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_names::SpiffeId;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::bundle::{certificate_pem, certificates_of, pem_reason};
use crate::key::{KeyError, KeyPair};
use crate::private_file::{self, FileError};
use crate::tls::{self, Leaf, PeerError};

/// The file in which [`Svid::save`] keeps key and chain together, so that a crash between two writes
/// can never leave a key beside another key's certificate.
const FILE: &str = "svid.pem";

/// Why key and certificates make no SVID.
#[derive(Debug, Error)]
pub enum SvidError {
    /// The chain text is not PEM.
    #[error("the certificate chain is not PEM: {0}")]
    Pem(String),
    /// The chain is not certificates in DER.
    #[error("the certificate chain is not DER: {0}")]
    Der(String),
    /// No certificate in it.
    #[error(
        "the certificate chain is empty; expected the workload's certificate first, then the issuers'"
    )]
    Empty,
    /// The leaf is not a workload's certificate.
    #[error("the first certificate of the chain is not an SVID: {0}")]
    Leaf(#[from] PeerError),
    /// The private key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Key and certificate are not of one pair.
    #[error("the private key does not belong to the certificate of {id}: {reason}")]
    Mismatch {
        /// Whose certificate it is.
        id: Box<SpiffeId>,
        /// What rustls said.
        reason: String,
    },
    /// The file that holds the SVID.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The serial number of a certificate in PEM, as hex; `None` for what is none. For the audit log, by which a
/// certificate is found again.
pub fn serial_of_pem(pem: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A workload's certificate and key. Cheap to hand around as `Arc<Svid>`; [`fmt::Debug`] shows no key.
pub struct Svid {
    id: SpiffeId,
    not_before: SystemTime,
    not_after: SystemTime,
    key: KeyPair,
    /// Chain and signing key in the form that every TLS configuration of the process shares.
    certified: Arc<CertifiedKey>,
}

impl Svid {
    /// Reads a chain (leaf first) and the leaf's key. Self-signed certificates in the chain are left
    /// out: peers hold the root already, and sending it costs bytes in every handshake.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, SvidError> {
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SvidError::Pem(pem_reason(&error)))?;
        Self::new(chain, KeyPair::from_pem(key_pem)?)
    }

    /// Reads what the SPIFFE Workload API sends: a chain, DER, one certificate after the other, leaf first, and the key,
    /// PKCS#8 in DER.
    pub fn from_der(chain: &[u8], key: &[u8]) -> Result<Self, SvidError> {
        let chain = certificates_of(chain).map_err(SvidError::Der)?;
        Self::new(chain, KeyPair::from_pkcs8(key)?)
    }

    /// Makes an SVID of a chain (leaf first, DER) and the leaf's key.
    pub fn new(mut chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Result<Self, SvidError> {
        let leaf = Leaf::read(chain.first().ok_or(SvidError::Empty)?)?;
        let mut place = 0..;
        chain.retain(|der| place.next() == Some(0) || !tls::is_self_issued(der));
        let certified =
            CertifiedKey::from_der(chain, key.to_der(), tls::provider()).map_err(|error| {
                SvidError::Mismatch { id: Box::new(leaf.id.clone()), reason: error.to_string() }
            })?;
        Ok(Svid {
            id: leaf.id,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            key,
            certified: Arc::new(certified),
        })
    }

    /// Whose SVID it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The certificates as they are sent to peers: leaf first, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The same chain as PEM.
    pub fn chain_pem(&self) -> String {
        self.chain().iter().map(certificate_pem).collect()
    }

    /// The private key.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// From when the certificate is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Until when the certificate is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether the certificate's time is over.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now > self.not_after
    }

    /// Keeps key and chain in `dir/svid.pem` (mode 0600, replaced atomically; the directory is made
    /// with mode 0700 where it is missing).
    pub fn save(&self, dir: &Path) -> Result<(), SvidError> {
        private_file::make_dir(dir)?;
        let content = format!("{}{}", self.key.to_pem(), self.chain_pem());
        Ok(private_file::write_secret(&dir.join(FILE), content.as_bytes())?)
    }

    /// Reads what [`Svid::save`] wrote; a file that others can read is refused.
    pub fn load(dir: &Path) -> Result<Self, SvidError> {
        let content = private_file::read_secret(&dir.join(FILE))?;
        Self::from_pem(&content, &content)
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("id", &format_args!("{}", self.id))
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("certificates", &self.chain().len())
            .finish_non_exhaustive()
    }
}
