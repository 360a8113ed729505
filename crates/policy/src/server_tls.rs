//! The TLS that a workload's proxy speaks with callers outside of the mesh, as an ingress listener of a Sidecar resource says
//! it (Istio's `ServerTLSSettings`).

use serde::{Deserialize, Serialize};

/// The TLS that is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerTls {
    /// What is asked of callers.
    pub mode: ServerTlsMode,
    /// The certificates, of which callers are shown one that they understand.
    pub certificates: Vec<CertificateFiles>,
    /// The file of the authorities that callers are checked by.
    pub ca_certificates: String,
    /// The file of certificates that were taken back.
    pub ca_crl: String,
    /// Names of which a caller's certificate must bear one, if there are any.
    pub subject_alt_names: Vec<String>,
    /// Fingerprints of keys (SHA-256, base64) and of certificates (SHA-256, hex), of which a caller must have one, if there
    /// are any.
    pub fingerprints: Vec<String>,
    /// Whether TLS 1.2 is not spoken.
    pub without_tls12: bool,
    /// Whether TLS 1.3 is not spoken.
    pub without_tls13: bool,
    /// The suites of TLS 1.2, by OpenSSL's names; all where there are none.
    pub cipher_suites: Vec<String>,
}

/// A certificate by its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateFiles {
    /// The file of the certificate.
    pub certificate: String,
    /// The file of its key.
    pub private_key: String,
}

/// What is asked of callers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerTlsMode {
    /// No certificate.
    #[default]
    Simple,
    /// A good certificate.
    Mutual,
    /// A good certificate, or none.
    OptionalMutual,
}
