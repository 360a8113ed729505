//! Who is at the other end of a TLS connection, and the policy that both ends share.
//!
//! TLS 1.3 only, with rustls's defaults: key exchange X25519MLKEM768, else X25519 or P-256 (the
//! post-quantum share costs about 1.1 KiB in each hello and well under 0.1 ms of CPU); certificates are
//! ECDSA P-256. A certificate is accepted when it chains to the trust bundle of the trust domain
//! that it names (our own one's, or that of one we are federated with), is in its time, and is an X.509 SVID. DNS names
//! are not looked at.
//!
//! Servers outside of the mesh are called by [`OriginationSettings`]: TLS 1.2 or 1.3, checked by names.
//! Callers outside of the mesh come in by [`TerminationSettings`], where a Sidecar resource has it.

/// The rest of a verifier of certificates: that the peer holds its certificate's key, by the algorithms of [`provider`].
macro_rules! verify_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &rustls_pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let known = &$crate::tls::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, cert, dss, known)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &rustls_pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let known = &$crate::tls::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, cert, dss, known)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            $crate::tls::provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

pub(crate) mod client;
mod origination;
pub(crate) mod server;
mod termination;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meltemi_names::{SpiffeId, SpiffeIdError, TrustDomain};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError};
use rustls_pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

pub use client::bootstrap_client_config;
pub use origination::{OriginationError, OriginationSettings, Pem};
pub use termination::{CallerCertificate, TerminationSettings};

use crate::bundle::TrustBundle;
use crate::deny;
use crate::identity::Trust;
use crate::svid::Svid;

/// Why the peer of a connection is not whom it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerError {
    /// No certificate was sent.
    #[error("the peer sent no certificate; only members of the mesh may connect here")]
    NoCertificate,
    /// The certificate is not X.509.
    #[error("the peer's certificate cannot be read: {0}")]
    Unreadable(String),
    /// The certificate names no SPIFFE id, or more than one name in URI form.
    #[error(
        "the peer's certificate has {0} URI names, an X.509 SVID has exactly one (its SPIFFE id)"
    )]
    UriNames(usize),
    /// The URI is no workload's SPIFFE id.
    #[error("the peer's certificate: {0}")]
    Id(#[from] SpiffeIdError),
    /// The certificate may sign others, which a workload's must not.
    #[error("the certificate of {0} is a CA's or may sign certificates; an X.509 SVID must not")]
    Authority(String),
    /// Another mesh's workload.
    #[error("{id} is neither of the trust domain {expected} nor of one that is believed beside it")]
    TrustDomain {
        /// The peer.
        id: Box<SpiffeId>,
        /// The own trust domain.
        expected: TrustDomain,
    },
    /// It was revoked.
    #[error("the certificate of {id} with the serial number {serial} was revoked")]
    Revoked {
        /// Whose it is.
        id: Box<SpiffeId>,
        /// Its serial number, hex.
        serial: String,
    },
    /// Another workload than the one that was meant.
    #[error("{found} answered, but {expected} was meant")]
    Other {
        /// The peer.
        found: Box<SpiffeId>,
        /// Who should have answered.
        expected: Box<SpiffeId>,
    },
    /// The certificate's time is over, or has not begun.
    #[error(
        "the certificate of {id} is not valid now (it is valid for {seconds} s and its time is over or has not begun); check the clocks of both machines"
    )]
    OutOfTime {
        /// The peer.
        id: Box<SpiffeId>,
        /// The certificate's whole life, seconds.
        seconds: u64,
    },
}

/// Reads the peer's SPIFFE id from the certificates of a finished handshake (leaf first). It does not
/// look at the clock: see [`authenticate`].
pub fn peer_identity(certificates: &[CertificateDer<'_>]) -> Result<SpiffeId, PeerError> {
    let leaf = certificates.first().ok_or(PeerError::NoCertificate)?;
    Ok(Leaf::read(leaf)?.id)
}

/// Reads the peer's SPIFFE id and checks that its certificate is valid at `now`.
///
/// A resumed session does not run the certificate verifier again, so this is what keeps a certificate
/// from outliving its time through session tickets. Call it once per connection, on both ends.
pub fn authenticate(
    certificates: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<SpiffeId, PeerError> {
    let leaf = Leaf::read(certificates.first().ok_or(PeerError::NoCertificate)?)?;
    if now < leaf.not_before || now > leaf.not_after {
        let life = leaf.not_after.duration_since(leaf.not_before).unwrap_or_default();
        return Err(PeerError::OutOfTime { id: Box::new(leaf.id), seconds: life.as_secs() });
    }
    Ok(leaf.id)
}

/// Whether the time of a certificate that was good once is over.
pub fn is_expired(certificate: &CertificateDer<'_>, now: SystemTime) -> bool {
    Leaf::read(certificate).is_ok_and(|leaf| leaf.not_after < now)
}

/// Checks that the peer is the workload that was meant.
pub fn expect(certificates: &[CertificateDer<'_>], expected: &SpiffeId) -> Result<(), PeerError> {
    let found = peer_identity(certificates)?;
    if found != *expected {
        return Err(PeerError::Other {
            found: Box::new(found),
            expected: Box::new(expected.clone()),
        });
    }
    Ok(())
}

/// Checks that peers which hold `bundle` will accept `svid` at `now`; to be called before a new SVID
/// is put in use.
pub fn check_svid(svid: &Svid, bundle: &TrustBundle, now: SystemTime) -> Result<(), rustls::Error> {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let domain = svid.id().trust_domain().clone();
    let trust = Trust::in_members(bundle.clone());
    let verifier = client::SvidVerifier::new(trust, domain, None);
    let (leaf, issuers) =
        svid.chain().split_first().ok_or_else(|| peer(PeerError::NoCertificate))?;
    verifier.verify_chain(leaf, issuers, UnixTime::since_unix_epoch(since_epoch))
}

/// What the mesh reads of a workload's certificate.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) id: SpiffeId,
    pub(crate) serial: Box<[u8]>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Leaf {
    /// Reads a certificate by the rules of the SPIFFE X.509-SVID specification, sections 2 and 4:
    /// exactly one URI name, not a CA, no right to sign certificates or revocation lists.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let unreadable = |error: &dyn ToString| PeerError::Unreadable(error.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| unreadable(&e))?;
        let names = certificate.subject_alternative_name().map_err(|e| unreadable(&e))?;
        let mut uris = names.iter().flat_map(|names| &names.value.general_names).filter_map(
            |name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            },
        );
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            let all = names.iter().flat_map(|names| &names.value.general_names);
            return Err(PeerError::UriNames(
                all.filter(|name| matches!(name, GeneralName::URI(_))).count(),
            ));
        };
        let id: SpiffeId = uri.parse()?;
        let constraints = certificate.basic_constraints().map_err(|e| unreadable(&e))?;
        let usage = certificate.key_usage().map_err(|e| unreadable(&e))?;
        let may_sign = usage.is_some_and(|u| u.value.key_cert_sign() || u.value.crl_sign());
        if constraints.is_some_and(|c| c.value.ca) || may_sign {
            return Err(PeerError::Authority(id.to_string()));
        }
        Ok(Leaf {
            id,
            serial: certificate.raw_serial().into(),
            not_before: system_time(certificate.validity.not_before.timestamp()),
            not_after: system_time(certificate.validity.not_after.timestamp()),
        })
    }
}

/// Seconds since the epoch as time; before 1970 counts as 1970.
pub(crate) fn system_time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Whether a certificate names itself as its issuer, as roots do.
pub(crate) fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, certificate)| certificate.subject.as_raw() == certificate.issuer.as_raw())
}

/// The cryptography of the whole mesh. Held here, so that no process-wide default needs installing.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    &PROVIDER
}

/// Verifies the SVID rules on the leaf, that its trust domain is believed, and that it is not revoked. Gives the roots of that
/// domain beside the id: the chain to them is verified by the caller.
fn check_leaf<'t>(
    leaf: &CertificateDer<'_>,
    own: &TrustDomain,
    trust: &'t Trust,
) -> Result<(SpiffeId, &'t Arc<TrustBundle>), rustls::Error> {
    // rustls's own parser goes first: it is the stricter one about the encoding.
    ParsedCertificate::try_from(leaf)?;
    let leaf = Leaf::read(leaf).map_err(peer)?;
    let Some(roots) = trust.roots(own, leaf.id.trust_domain()) else {
        let (id, expected) = (Box::new(leaf.id), own.clone());
        return Err(peer(PeerError::TrustDomain { id, expected }));
    };
    if trust.denied.refuses(&leaf) {
        let serial = deny::serial(&leaf.serial);
        return Err(peer(PeerError::Revoked { id: Box::new(leaf.id), serial }));
    }
    Ok((leaf.id, roots))
}

/// Our error in rustls's clothes: the handshake ends with it, and the log shows its text.
fn peer(error: PeerError) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}
