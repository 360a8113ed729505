//! Certificate signing requests: how a workload asks, and what the CA reads of it.

use std::net::IpAddr;

use meltemi_names::SpiffeId;
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SanType, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::key::KeyPair;

/// The largest request that is read, bytes of PEM. One with an RSA 8192 key has under 4 KiB.
pub const MAX_PEM: usize = 16 * 1024;

/// The smallest RSA key that gets a certificate, bits.
const MIN_RSA_BITS: usize = 2048;

/// Why a request could not be made or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CsrError {
    /// The request could not be built or signed.
    #[error("cannot make the certificate request: {0}")]
    Create(String),
    /// Longer than [`MAX_PEM`].
    #[error("the certificate request has {0} bytes; at most {MAX_PEM} are read")]
    TooLarge(usize),
    /// Not a PKCS#10 request.
    #[error(
        "the certificate request cannot be read: {0}; expected PEM `-----BEGIN CERTIFICATE REQUEST-----`"
    )]
    Unreadable(String),
    /// The asker does not prove that it has the private key.
    #[error(
        "the signature of the certificate request is wrong: it was not made with the key that it carries"
    )]
    Signature,
    /// The key is of a kind that gets no certificate.
    #[error(
        "the key of the certificate request is not accepted ({0}); use ECDSA P-256 or P-384, Ed25519, or RSA of {MIN_RSA_BITS} bits and more"
    )]
    Key(String),
}

/// Makes the PEM request for `id`, signed with `key`. It carries the public half of the key only.
pub fn create(key: &KeyPair, id: &SpiffeId) -> Result<String, CsrError> {
    let failed = |error: rcgen::Error| CsrError::Create(error.to_string());
    let uri = id.to_string().try_into().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.serialize_request(key.signer()).and_then(|request| request.pem()).map_err(failed)
}

/// A name that a request asks to be certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A URI: the SPIFFE id.
    Uri(String),
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// Anything else, as text for messages.
    Other(String),
}

/// A request whose signature was found right. Only the public key of it ever gets into a certificate;
/// the names are what the asker wishes, not what it is.
#[derive(Debug)]
pub struct Request {
    key: SubjectPublicKeyInfo,
    names: Vec<Name>,
}

impl Request {
    /// Reads a PEM request, and verifies that its signer has the private key.
    pub fn from_pem(pem: &str) -> Result<Self, CsrError> {
        if pem.len() > MAX_PEM {
            return Err(CsrError::TooLarge(pem.len()));
        }
        let unreadable = |error: &dyn ToString| CsrError::Unreadable(error.to_string());
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unreadable(&error))?;
        let (rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|error| unreadable(&error))?;
        if !rest.is_empty() {
            return Err(unreadable(&"bytes follow the request"));
        }
        let key = accepted_key(&request)?;
        request.verify_signature().map_err(|_| CsrError::Signature)?;
        Ok(Request { key, names: names(&request) })
    }

    /// The names asked for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The SPIFFE id asked for, if it is the request's only URI.
    pub fn id(&self) -> Option<SpiffeId> {
        let mut uris = self.names.iter().filter_map(|name| match name {
            Name::Uri(uri) => Some(uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn key(&self) -> &impl PublicKeyData {
        &self.key
    }
}

/// The public key, if it is strong enough and signed the request with a hash that still counts.
fn accepted_key(request: &X509CertificationRequest<'_>) -> Result<SubjectPublicKeyInfo, CsrError> {
    let info = &request.certification_request_info.subject_pki;
    let refused = |reason: &str| CsrError::Key(reason.into());
    let algorithm = &request.signature_algorithm.algorithm;
    if *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == OID_SHA1_WITH_RSA {
        return Err(refused("signed with SHA-1"));
    }
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() < MIN_RSA_BITS => {
            return Err(refused(&format!("RSA of {} bits", rsa.key_size())));
        }
        Ok(PublicKey::RSA(_) | PublicKey::EC(_) | PublicKey::Unknown(_)) => {}
        Ok(_) => return Err(refused("DSA, GOST or another old kind")),
        Err(error) => return Err(CsrError::Unreadable(error.to_string())),
    }
    let key = SubjectPublicKeyInfo::from_der(info.raw).map_err(|e| refused(&e.to_string()))?;
    let accepted = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ];
    if !accepted.contains(&key.algorithm()) {
        return Err(refused(&format!("{:?}", key.algorithm())));
    }
    Ok(key)
}

fn names(request: &X509CertificationRequest<'_>) -> Vec<Name> {
    let extensions = request.requested_extensions().into_iter().flatten();
    let alternatives = extensions.filter_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    alternatives.flatten().map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Name {
    match name {
        GeneralName::URI(uri) => Name::Uri((*uri).into()),
        GeneralName::DNSName(host) => Name::Dns((*host).into()),
        GeneralName::IPAddress(bytes) => match ip(bytes) {
            Some(ip) => Name::Ip(ip),
            None => Name::Other(format!("an IP address of {} bytes", bytes.len())),
        },
        other => Name::Other(other.to_string()),
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests;
