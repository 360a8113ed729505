//! The calling end towards servers that are no members of the mesh: what a DestinationRule's TLS modes `SIMPLE` and `MUTUAL`
//! ask for, made of files or of texts that were sent.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

use super::provider;
use crate::private_file::FileError;

mod pem;
mod verify;

pub use pem::Pem;
use verify::{OutsideVerifier, Unchecked};

pub(super) use verify::bears_one_of;

/// How many servers' sessions one configuration remembers.
const SESSIONS: usize = 32;

/// Why a server outside of the mesh cannot be called over TLS.
#[derive(Debug, Error)]
pub enum OriginationError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or text does not hold what it should.
    #[error("{holder} holds no {what}: {reason}")]
    Content {
        /// The file, or the text's name.
        holder: String,
        /// What it should hold.
        what: &'static str,
        /// Why that is not so.
        reason: String,
    },
    /// Certificate and key are not of one pair.
    #[error("the key in {key} does not belong to the certificate in {certificate}: {reason}")]
    Mismatch {
        /// Where the certificate is.
        certificate: String,
        /// Where the key is.
        key: String,
        /// What rustls said.
        reason: String,
    },
    /// A certificate that nothing can be done with.
    #[error("the certificate in {certificate} cannot be used: {reason}")]
    Unusable {
        /// Where the certificate is.
        certificate: String,
        /// Why.
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
    #[error("{holder} cannot be used as a revocation list: {reason}")]
    Revocation {
        /// The file, or the text's name.
        holder: String,
        /// What rustls said.
        reason: String,
    },
}

impl OriginationError {
    /// Why a certificate and a key were refused.
    pub(super) fn of_pair(certificate: &Pem, key: &Pem, error: &rustls::Error) -> OriginationError {
        let (certificate, reason) = (certificate.to_string(), error.to_string());
        match error {
            rustls::Error::InconsistentKeys(_) => {
                OriginationError::Mismatch { certificate, key: key.to_string(), reason }
            }
            // `openssl x509 -req` without -extfile makes these.
            _ if reason.contains("UnsupportedCertVersion") => OriginationError::Unusable {
                certificate,
                reason: "it is not of version 3 of X.509, as those with extensions are (a subjectAltName, say)".into(),
            },
            _ => OriginationError::Unusable { certificate, reason },
        }
    }
}

/// The TLS that is spoken with servers outside of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginationSettings {
    /// Our certificate (leaf first) and its key; no certificate is shown without them.
    pub client_certificate: Option<(Pem, Pem)>,
    /// The authorities that servers are checked by; the system's roots where it is left out.
    pub ca_certificates: Option<Pem>,
    /// The authorities' revocation lists.
    pub ca_crl: Option<Pem>,
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
        all.filter_map(Pem::file)
    }

    /// Reads what there is and makes one configuration for each list of application protocols.
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
        let built = builder.with_client_auth_cert(certificate.certificates()?, key.key()?);
        built.map_err(|error| OriginationError::of_pair(certificate, key, &error))
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, OriginationError> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(Unchecked));
        }
        let roots = match &self.ca_certificates {
            Some(authorities) => Arc::new(authorities.roots()?),
            None => system_roots()?,
        };
        let mut builder = WebPkiServerVerifier::builder_with_provider(roots, provider().clone());
        if let Some(lists) = &self.ca_crl {
            builder = builder.with_crls(lists.revocations()?).enforce_revocation_expiration();
        }
        let chain = builder.build().map_err(|error| {
            // The roots are not empty, so it can only be about the lists.
            let holder = self.ca_crl.as_ref().map(Pem::to_string).unwrap_or_default();
            OriginationError::Revocation { holder, reason: error.to_string() }
        })?;
        // One that is trusted by itself is on nobody's list: where there are lists, all are held to a chain.
        let given = match (&self.ca_certificates, &self.ca_crl) {
            (Some(authorities), None) => authorities.certificates()?,
            _ => Vec::new(),
        };
        Ok(Arc::new(OutsideVerifier::new(chain, given, self.subject_alt_names.clone())))
    }
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
