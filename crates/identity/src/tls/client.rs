//! The calling end: our SVID is shown, the server's is verified.

use std::fmt;
use std::sync::Arc;

use meltemi_names::{SpiffeId, TrustDomain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::verify_tls13_signature;
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{PeerError, check_leaf, peer, provider};
use crate::bundle::TrustBundle;
use crate::identity::Trust;

/// How many servers' sessions one client configuration remembers. A session holds the server's chain
/// (about 1 KiB), and pools keep connections open, so few are needed.
const SESSIONS: usize = 128;

/// The configuration of a client that has no certificate yet: the first call to the certificate service.
/// The server must chain to `bundle` and be `expected`.
pub fn bootstrap_client_config(
    bundle: &TrustBundle,
    expected: SpiffeId,
    alpn: Vec<Vec<u8>>,
) -> Result<Arc<ClientConfig>, Error> {
    let trust_domain = expected.trust_domain().clone();
    let trust = Trust::in_members(bundle.clone());
    let verifier = Arc::new(SvidVerifier::new(trust, trust_domain, Some(expected)));
    let mut config = builder(verifier)?.with_no_client_auth();
    config.alpn_protocols = alpn;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A configuration that shows our SVID and verifies the server's.
pub(crate) fn config(
    verifier: Arc<SvidVerifier>,
    certificate: Arc<dyn ResolvesClientCert>,
    alpn: &[Vec<u8>],
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = builder(verifier)?.with_client_cert_resolver(certificate);
    config.alpn_protocols = alpn.to_vec();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

fn builder(
    verifier: Arc<SvidVerifier>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, Error> {
    Ok(ClientConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// Verifies a server's certificate as an SVID: trust domain, chain to the roots of that domain, time, and the id where one
/// is expected of every server.
pub(crate) struct SvidVerifier {
    trust: Trust,
    /// Our own.
    trust_domain: TrustDomain,
    expected: Option<SpiffeId>,
}

impl SvidVerifier {
    pub(crate) fn new(trust: Trust, trust_domain: TrustDomain, expected: Option<SpiffeId>) -> Self {
        SvidVerifier { trust, trust_domain, expected }
    }

    pub(crate) fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let (found, roots) = check_leaf(leaf, &self.trust_domain, &self.trust)?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            roots.store(),
            issuers,
            now,
            provider().signature_verification_algorithms.all,
        )?;
        match &self.expected {
            Some(expected) if found != *expected => Err(peer(PeerError::Other {
                found: Box::new(found),
                expected: Box::new(expected.clone()),
            })),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for SvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidVerifier")
            .field("trust_domain", &self.trust_domain)
            .field("expected", &self.expected)
            .field("roots", &self.trust.bundle.roots().len())
            .finish()
    }
}

impl ServerCertVerifier for SvidVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_chain(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
