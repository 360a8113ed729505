//! The called end towards callers that are no members of the mesh: TLS with certificates of the user's own, as a Sidecar
//! resource's ingress listener has it (Istio's `ServerTLSSettings` with files).

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, DistinguishedName, Error, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::origination::bears_one_of;
use super::{OriginationError, Pem, provider};

/// The suites of TLS 1.2 by the names that OpenSSL, and so Envoy and Istio, has for them.
const SUITES: [(&str, CipherSuite); 6] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// What is asked of a caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerCertificate {
    /// No certificate.
    #[default]
    None,
    /// A good one, or none.
    Optional,
    /// A good one.
    Required,
}

/// The TLS that is spoken with callers outside of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminationSettings {
    /// Our certificates (leaf first) with their keys; the first is shown whose key the caller understands.
    pub certificates: Vec<(Pem, Pem)>,
    /// What is asked of callers.
    pub caller: CallerCertificate,
    /// The authorities that callers are checked by.
    pub ca_certificates: Option<Pem>,
    /// The authorities' revocation lists.
    pub ca_crl: Option<Pem>,
    /// Names (DNS, IP or URI) of which a caller's certificate must bear one, if there are any.
    pub subject_alt_names: Vec<String>,
    /// Fingerprints of keys (SHA-256, base64) and of certificates (SHA-256, hex), of which a caller must have one, if there are
    /// any.
    pub fingerprints: Vec<String>,
    /// Whether TLS 1.2 and TLS 1.3 are spoken.
    pub versions: [bool; 2],
    /// The suites of TLS 1.2, by OpenSSL's names; all that there are where none is named.
    pub cipher_suites: Vec<String>,
}

impl TerminationSettings {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.certificates.iter().flat_map(|(certificate, key)| [certificate, key]);
        let all = pairs.chain(&self.ca_certificates).chain(&self.ca_crl);
        all.filter_map(Pem::file)
    }

    /// Reads what there is and makes the configuration.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn server_config(&self, alpn: &[Vec<u8>]) -> Result<Arc<ServerConfig>, OriginationError> {
        let provider = Arc::new(self.provider()?);
        let versions = self.versions()?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)?;
        let builder = match self.caller {
            CallerCertificate::None => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(self.verifier()?),
        };
        let keys = self.certificates.iter().map(|pair| certified(pair, &provider));
        let keys = Keys(keys.collect::<Result<_, _>>()?);
        if keys.0.is_empty() {
            let reason = "no serverCertificate and privateKey".to_owned();
            return Err(OriginationError::Tls(Error::General(reason)));
        }
        let mut config = builder.with_cert_resolver(Arc::new(keys));
        config.alpn_protocols = alpn.to_vec();
        Ok(Arc::new(config))
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, OriginationError> {
        let all = [&rustls::version::TLS12, &rustls::version::TLS13];
        let spoken = all.into_iter().zip(self.versions).filter(|(_, is_spoken)| *is_spoken);
        let spoken: Vec<_> = spoken.map(|(version, _)| version).collect();
        match spoken.is_empty() {
            true => {
                let reason = "no version is left between minProtocolVersion and maxProtocolVersion";
                Err(OriginationError::Tls(Error::General(reason.into())))
            }
            false => Ok(spoken),
        }
    }

    /// With those suites that are named; those of TLS 1.3 are always there, as with Envoy.
    fn provider(&self) -> Result<CryptoProvider, OriginationError> {
        let mut chosen = (**provider()).clone();
        if self.cipher_suites.is_empty() {
            return Ok(chosen);
        }
        let is_named = |suite: CipherSuite| {
            let name = SUITES.iter().find(|(_, it)| *it == suite).map(|(name, _)| *name);
            name.is_some_and(|name| self.cipher_suites.iter().any(|it| it == name))
        };
        let is_tls12 =
            |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls12(_));
        chosen.cipher_suites.retain(|it| !is_tls12(it) || is_named(it.suite()));
        if self.versions[0] && !chosen.cipher_suites.iter().any(is_tls12) {
            let names = SUITES.map(|(name, _)| name).join(", ");
            let reason = format!("none of the cipherSuites is known; known are {names}");
            return Err(OriginationError::Tls(Error::General(reason)));
        }
        Ok(chosen)
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, OriginationError> {
        let Some(authorities) = &self.ca_certificates else {
            let reason = "callers are asked for certificates, and no caCertificates are named";
            return Err(OriginationError::Tls(Error::General(reason.into())));
        };
        let roots = Arc::new(authorities.roots()?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider().clone());
        if let Some(lists) = &self.ca_crl {
            builder = builder.with_crls(lists.revocations()?).enforce_revocation_expiration();
        }
        if self.caller == CallerCertificate::Optional {
            builder = builder.allow_unauthenticated();
        }
        let chain = builder.build().map_err(|error| {
            // The roots are not empty, so it can only be about the lists.
            let holder = self.ca_crl.as_ref().map(Pem::to_string).unwrap_or_default();
            OriginationError::Revocation { holder, reason: error.to_string() }
        })?;
        match self.fingerprints.is_empty() && self.subject_alt_names.is_empty() {
            true => Ok(chain),
            false => Ok(Arc::new(Expected {
                chain,
                names: self.subject_alt_names.clone(),
                fingerprints: self.fingerprints.clone(),
            })),
        }
    }
}

fn certified(
    (certificate, key): &(Pem, Pem),
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, OriginationError> {
    let made = CertifiedKey::from_der(certificate.certificates()?, key.key()?, provider);
    made.map(Arc::new).map_err(|error| OriginationError::of_pair(certificate, key, &error))
}

/// Our certificates.
#[derive(Debug)]
struct Keys(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_understood =
            |it: &&Arc<CertifiedKey>| it.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(is_understood).cloned()
    }
}

/// Verifies a caller's chain, and that it is one of those who are expected: by one of the names and one of the
/// fingerprints, where there are any.
#[derive(Debug)]
struct Expected {
    chain: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
    fingerprints: Vec<String>,
}

impl Expected {
    fn check(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        if !self.names.is_empty() && !bears_one_of(leaf, &self.names)? {
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        match self.fingerprints.is_empty() || self.has_fingerprint(leaf)? {
            true => Ok(()),
            false => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn has_fingerprint(&self, leaf: &CertificateDer<'_>) -> Result<bool, Error> {
        let key = ParsedCertificate::try_from(leaf)?.subject_public_key_info();
        let (of_key, of_all) = (digest(&SHA256, &key), digest(&SHA256, leaf));
        let of_key = base64(of_key.as_ref());
        let of_all =
            of_all.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        // With colons between the bytes too, as OpenSSL prints them.
        let is_same =
            |text: &String| *text == of_key || text.replace(':', "").to_ascii_lowercase() == of_all;
        Ok(self.fingerprints.iter().any(is_same))
    }
}

/// The base64 of a digest (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

impl ClientCertVerifier for Expected {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        self.check(end_entity)?;
        Ok(verified)
    }

    verify_signatures!();
}

#[cfg(test)]
mod tests;
