//! The TLS that callers speak to a service, as a destination rule says it.

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// The TLS that is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTls {
    /// Whose certificates are used.
    pub mode: ClientTlsMode,
    /// The file of the client's certificate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    /// The file of its key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub private_key: String,
    /// The file of the authorities that the server is checked by; those of the system where it is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca_certificates: String,
    /// The secret with all of these, in the caller's namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential_name: String,
    /// Whether the secret is for gateways alone. Istio has it so in rules without a workload selector.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub is_credential_of_gateways: bool,
    /// Names of which the server's certificate must bear one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// The name that is asked for (SNI).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sni: String,
    /// Whether the server is believed without check.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub insecure_skip_verify: bool,
    /// The file of certificates that were taken back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca_crl: String,
}

/// Whose certificates a client uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientTlsMode {
    /// No TLS.
    #[default]
    Disable,
    /// TLS without a certificate of the client.
    Simple,
    /// TLS with a given certificate of the client.
    Mutual,
    /// Mutual TLS of the mesh.
    IstioMutual,
}
