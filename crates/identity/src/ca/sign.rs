//! What is signed: a workload's certificate, made of its public key and its proven identity alone.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use meltemi_names::SpiffeId;
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use thiserror::Error;

use super::authority::Signing;
use super::root::{BACKDATE, random_serial};
use crate::csr::{CsrError, Name, Request};

/// The life of a certificate whose asker names none (zero).
pub const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);
/// The shortest life; shorter ones would be renewed all the time.
pub const MIN_TTL: Duration = Duration::from_secs(5 * 60);
/// The longest life; there is no revocation but the end of life.
pub const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a request was not signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The request itself is bad.
    #[error(transparent)]
    Request(#[from] CsrError),
    /// The request names something that its asker is not.
    #[error(
        "the certificate request names {name}, but its asker is {id}; only that id may be named"
    )]
    ForeignName {
        /// Who asks.
        id: Box<SpiffeId>,
        /// What is named.
        name: String,
    },
    /// An id of another mesh.
    #[error("{id} is not of this CA's trust domain")]
    TrustDomain {
        /// The id.
        id: Box<SpiffeId>,
    },
    /// The CA's own certificate is over.
    #[error(
        "the CA's certificate has expired, nothing can be signed; restart the control plane to have a new one made, or replace the files in its `cacerts` directory"
    )]
    Expired,
    /// The signing itself failed.
    #[error("the certificate could not be signed: {0}")]
    Failed(String),
}

/// Refuses a request with any name besides the asker's own id: whoever sends one is wrong about what it
/// will get, or is trying.
pub(super) fn check_names(request: &Request, id: &SpiffeId) -> Result<(), SignError> {
    let own = id.to_string();
    let foreign = request.names().iter().find_map(|name| match name {
        Name::Uri(uri) if *uri == own => None,
        Name::Uri(uri) => Some(uri.clone()),
        Name::Dns(host) => Some(format!("DNS name {host}")),
        Name::Ip(ip) => Some(format!("address {ip}")),
        Name::Other(text) => Some(text.clone()),
    });
    match foreign {
        Some(name) => Err(SignError::ForeignName { id: Box::new(id.clone()), name }),
        None => Ok(()),
    }
}

/// Makes the certificate: PEM chain, leaf first, root last.
pub(super) fn sign(
    signing: &Signing,
    key: &impl PublicKeyData,
    id: &SpiffeId,
    addresses: Addresses<'_>,
    ttl: Duration,
    now: SystemTime,
) -> Result<Vec<String>, SignError> {
    if now >= signing.not_after {
        return Err(SignError::Expired);
    }
    let failed = |error: rcgen::Error| SignError::Failed(error.to_string());
    let ttl = if ttl.is_zero() { DEFAULT_TTL } else { ttl.clamp(MIN_TTL, MAX_TTL) };

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.to_string().try_into().map_err(failed)?)];
    for host in addresses.hosts {
        params.subject_alt_names.push(SanType::DnsName((*host).try_into().map_err(failed)?));
    }
    params.subject_alt_names.extend(addresses.ips.iter().copied().map(SanType::IpAddress));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(random_serial());
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + ttl).min(signing.not_after).into();

    let leaf = params.signed_by(key, &signing.issuer).map_err(failed)?;
    let mut chain = vec![crate::bundle::certificate_pem(leaf.der())];
    chain.extend(signing.chain.iter().cloned());
    Ok(chain)
}

/// Names beside the SPIFFE id, for clients that verify a server by its address.
#[derive(Clone, Copy, Default)]
pub(super) struct Addresses<'a> {
    pub(super) hosts: &'a [&'a str],
    pub(super) ips: &'a [IpAddr],
}
