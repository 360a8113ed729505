//! Where PEM text comes from: a file, or a text that was sent.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::OriginationError;
use crate::private_file;

/// PEM text. Shown by its name alone, since it may be a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file, which is read when it is used.
    File(PathBuf),
    /// As it was sent.
    Text {
        /// What it is called, as in ``tls.crt of the Secret `a` ``.
        name: Arc<str>,
        /// The text.
        text: Arc<str>,
    },
}

impl Pem {
    /// The file, if it is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Pem::File(path) => Some(path),
            Pem::Text { .. } => None,
        }
    }

    fn read(&self) -> Result<Arc<str>, OriginationError> {
        match self {
            Pem::File(path) => Ok(private_file::read(path)?.into()),
            Pem::Text { text, .. } => Ok(text.clone()),
        }
    }

    fn content(&self, what: &'static str, reason: impl ToString) -> OriginationError {
        OriginationError::Content { holder: self.to_string(), what, reason: reason.to_string() }
    }

    /// All of one kind in it: at least one.
    fn all<T: PemObject>(&self, what: &'static str) -> Result<Vec<T>, OriginationError> {
        let text = self.read()?;
        let read: Result<Vec<T>, _> = T::pem_slice_iter(text.as_bytes()).collect();
        let read = read.map_err(|error| self.content(what, error))?;
        match read.is_empty() {
            true => Err(self.content(what, "no such PEM block in it")),
            false => Ok(read),
        }
    }

    pub(in crate::tls) fn key(&self) -> Result<PrivateKeyDer<'static>, OriginationError> {
        let parsed = PrivateKeyDer::from_pem_slice(self.read()?.as_bytes());
        parsed.map_err(|error| self.content("private key", error))
    }

    pub(in crate::tls) fn certificates(
        &self,
    ) -> Result<Vec<CertificateDer<'static>>, OriginationError> {
        self.all("certificate")
    }

    pub(in crate::tls) fn revocations(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, OriginationError> {
        self.all("certificate revocation list")
    }

    pub(in crate::tls) fn roots(&self) -> Result<RootCertStore, OriginationError> {
        let mut store = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = store.add(certificate);
            added.map_err(|error| self.content("usable root certificate", error))?;
        }
        Ok(store)
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Pem::File(path)
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => path.display().fmt(f),
            Pem::Text { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}
