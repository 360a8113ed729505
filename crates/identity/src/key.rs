//! Private keys: made in the process that uses them, never sent, never printed.

use std::fmt;

use rustls_pki_types::pem::PemObject;

use crate::bundle::pem_reason;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// Why a private key could not be made or read. Never tells the key's content.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The random source or the key generator failed.
    #[error("cannot make a private key: {0}")]
    Generate(String),
    /// The text holds no private key that can be used.
    #[error(
        "not a private key: {0}; expected PEM of an ECDSA P-256/P-384, RSA or Ed25519 key (PKCS#8, SEC1 or PKCS#1)"
    )]
    Read(String),
}

/// A private key with its public half.
pub struct KeyPair(rcgen::KeyPair);

/// Makes an ECDSA P-256 key: the cheapest signature in a TLS 1.3 handshake that every client of the
/// field accepts.
pub fn generate() -> Result<KeyPair, KeyError> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map(KeyPair)
        .map_err(|error| KeyError::Generate(error.to_string()))
}

impl KeyPair {
    /// Reads the first private key of a PEM text (other blocks, such as `EC PARAMETERS`, are skipped).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| KeyError::Read(pem_reason(&error)))?;
        rcgen::KeyPair::try_from(&der)
            .map(KeyPair)
            .map_err(|error| KeyError::Read(error.to_string()))
    }

    /// Reads a private key, PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der));
        rcgen::KeyPair::try_from(&der)
            .map(KeyPair)
            .map_err(|error| KeyError::Read(error.to_string()))
    }

    /// The key as PKCS#8 PEM. Write it only to a file of mode 0600.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The key as rustls takes it.
    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }

    pub(crate) fn signer(&self) -> &rcgen::KeyPair {
        &self.0
    }

    pub(crate) fn into_signer(self) -> rcgen::KeyPair {
        self.0
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_never_printed() {
        let key = generate().unwrap();
        let pem = key.to_pem();
        assert_eq!(KeyPair::from_pem(&pem).unwrap().to_pem(), pem);
        assert_eq!(format!("{key:?}"), "KeyPair(..)");
        assert!(KeyPair::from_pem("no key").is_err());
    }
}
