//! TLS: what a gateway or sidecar serves, and what a client speaks.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::refuse::{Path, Report, at_most_one};

/// The TLS that a server speaks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ServerTls {
    /// Whether plaintext is answered with a redirect to HTTPS.
    pub https_redirect: bool,
    /// What is asked of clients; `PASSTHROUGH` where it is left out.
    pub mode: Option<ServerTlsMode>,
    /// The file of the certificate.
    pub server_certificate: String,
    /// The file of its key.
    pub private_key: String,
    /// The file of the authorities that clients' certificates are checked by.
    pub ca_certificates: String,
    /// The file of certificates that were taken back.
    pub ca_crl: String,
    /// The secret with certificate and key.
    pub credential_name: String,
    /// Several secrets with certificates of several key types.
    pub credential_names: Vec<String>,
    /// The secret with the authorities alone.
    pub ca_cert_credential_name: String,
    /// Several certificates by file.
    pub tls_certificates: Vec<TlsCertificate>,
    /// Names of which a client's certificate must bear one.
    pub subject_alt_names: Vec<String>,
    /// Fingerprints of keys (SHA-256, base64) of which a client's certificate must have one.
    pub verify_certificate_spki: Vec<String>,
    /// Fingerprints (SHA-256, hex) of which a client's certificate must have one.
    pub verify_certificate_hash: Vec<String>,
    /// The oldest version spoken.
    pub min_protocol_version: Option<TlsVersion>,
    /// The newest version spoken.
    pub max_protocol_version: Option<TlsVersion>,
    /// The suites spoken below TLS 1.3.
    pub cipher_suites: Vec<String>,
}

/// A certificate by its files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TlsCertificate {
    /// The file of the certificate.
    pub server_certificate: String,
    /// The file of its key.
    pub private_key: String,
    /// The file of the authorities that clients' certificates are checked by.
    pub ca_certificates: String,
}

/// What a server asks of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerTlsMode {
    /// The bytes go on as they are, by the name that the client asks for.
    Passthrough,
    /// TLS with the server's certificate alone.
    Simple,
    /// TLS with a certificate of the client too.
    Mutual,
    /// Like `PASSTHROUGH`, to the service of that name without a virtual service.
    AutoPassthrough,
    /// Mutual TLS of the mesh.
    IstioMutual,
    /// TLS where a certificate of the client is welcome but not needed.
    OptionalMutual,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// As the proxy thinks best.
    #[serde(rename = "TLS_AUTO")]
    Auto,
    /// TLS 1.0.
    #[serde(rename = "TLSV1_0")]
    V1_0,
    /// TLS 1.1.
    #[serde(rename = "TLSV1_1")]
    V1_1,
    /// TLS 1.2.
    #[serde(rename = "TLSV1_2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "TLSV1_3")]
    V1_3,
}

/// The TLS that a client speaks to a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientTls {
    /// Whose certificates are used; `DISABLE` where it is left out.
    pub mode: Option<ClientTlsMode>,
    /// The file of the client's certificate.
    pub client_certificate: String,
    /// The file of its key.
    pub private_key: String,
    /// The file of the authorities that the server is checked by.
    pub ca_certificates: String,
    /// The secret with all of these.
    pub credential_name: String,
    /// Names of which the server's certificate must bear one.
    pub subject_alt_names: Vec<String>,
    /// The name that is asked for (SNI).
    pub sni: String,
    /// Whether the server is believed without check.
    pub insecure_skip_verify: Option<bool>,
    /// The file of certificates that were taken back.
    pub ca_crl: String,
}

/// Whose certificates a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientTlsMode {
    /// No TLS.
    Disable,
    /// TLS without a certificate of the client.
    Simple,
    /// TLS with a given certificate of the client.
    Mutual,
    /// Mutual TLS of the mesh.
    IstioMutual,
}

impl ServerTls {
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        let files = !self.server_certificate.is_empty() || !self.private_key.is_empty();
        let choices = [
            ("credentialName", !self.credential_name.is_empty()),
            ("credentialNames", !self.credential_names.is_empty()),
            ("tlsCertificates", !self.tls_certificates.is_empty()),
            ("serverCertificate", files),
        ];
        at_most_one(&choices, at, report);
        use ServerTlsMode::{IstioMutual, Mutual, OptionalMutual, Simple};
        let has_certificate = choices.iter().any(|(_, is_set)| *is_set);
        match self.mode {
            Some(Simple | Mutual | OptionalMutual) if !has_certificate => {
                let message = "no certificate: this mode serves one";
                report.error(at.clone(), message).suggest(
                    "name a secret in `credentialName`, or files in `serverCertificate` and `privateKey`",
                );
            }
            Some(IstioMutual) if has_certificate => {
                let message = "ISTIO_MUTUAL serves the mesh's own certificate; none can be given";
                report.error(at.clone(), message);
            }
            _ => {}
        }
        if files && (self.server_certificate.is_empty() || self.private_key.is_empty()) {
            let field =
                if self.private_key.is_empty() { "privateKey" } else { "serverCertificate" };
            report.error(at.field(field), "missing; certificate and key go together");
        }
        if self.mode == Some(Mutual)
            && files
            && self.ca_certificates.is_empty()
            && self.ca_cert_credential_name.is_empty()
        {
            let message = "missing; mutual TLS checks clients by it";
            report.error(at.field("caCertificates"), message);
        }
        let (least, most) = (self.min_protocol_version, self.max_protocol_version);
        if let (Some(least), Some(most)) = (least, most)
            && TlsVersion::Auto < most
            && most < least
        {
            let message = "is older than `minProtocolVersion`";
            report.error(at.field("maxProtocolVersion"), message);
        }
    }
}

impl ClientTls {
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        let files =
            [("clientCertificate", &self.client_certificate), ("privateKey", &self.private_key)];
        let has_files = files.iter().any(|(_, file)| !file.is_empty());
        let mode = self.mode.unwrap_or(ClientTlsMode::Disable);
        match mode {
            ClientTlsMode::Mutual if self.credential_name.is_empty() => {
                for (field, _) in files.iter().filter(|(_, file)| file.is_empty()) {
                    let message =
                        "missing; mode MUTUAL needs certificate and key, or `credentialName`";
                    report.error(at.field(field), message);
                }
            }
            ClientTlsMode::IstioMutual if has_files || !self.credential_name.is_empty() => {
                let message = "ISTIO_MUTUAL uses the mesh's own certificate; none can be given";
                report.error(at.clone(), message);
            }
            _ => {}
        }
        self.check_beside_secret(mode, at, report);
        self.check_unverified(mode, at, report);
    }

    /// A Secret stands for all files: one beside it would be passed over, the list of revoked certificates too (Istio's
    /// `validateTLS`).
    fn check_beside_secret(&self, mode: ClientTlsMode, at: &Path, report: &mut Report) {
        let is_own = matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
        if !is_own || self.credential_name.is_empty() {
            return;
        }
        for (field, file) in [
            ("clientCertificate", &self.client_certificate),
            ("privateKey", &self.private_key),
            ("caCertificates", &self.ca_certificates),
            ("caCrl", &self.ca_crl),
        ] {
            if !file.is_empty() {
                let message = "cannot stand with `credentialName`, whose Secret is taken in place of all files";
                report
                    .error(at.field(field), message)
                    .on_key()
                    .suggest("put it into the Secret, or name files alone");
            }
        }
    }

    /// Who does not look at certificates says nothing of what they must be (Istio's `validateTLS`).
    fn check_unverified(&self, mode: ClientTlsMode, at: &Path, report: &mut Report) {
        let is_own = matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
        if !is_own || self.insecure_skip_verify != Some(true) {
            return;
        }
        for (field, is_set) in [
            ("caCertificates", !self.ca_certificates.is_empty()),
            ("subjectAltNames", !self.subject_alt_names.is_empty()),
        ] {
            if is_set {
                let message = "cannot stand with `insecureSkipVerify`, which lets no certificate be looked at";
                report.error(at.field(field), message).on_key();
            }
        }
    }
}
