//! The signature algorithms of RFC 7518, section 3.1, and RFC 8037 that are verified: those of public keys.

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents,
};

/// An `alg`. `none` is not one of them, nor are HMACs: whoever knows a public key could sign with it as the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

const ALL: [(&str, Algorithm); 10] = [
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("RS512", Algorithm::Rs512),
    ("PS256", Algorithm::Ps256),
    ("PS384", Algorithm::Ps384),
    ("PS512", Algorithm::Ps512),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("ES512", Algorithm::Es512),
    ("EdDSA", Algorithm::EdDsa),
];

/// Those that a key of RSA may be used for.
const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

impl Algorithm {
    /// Reads an `alg`.
    pub fn parse(name: &str) -> Option<Algorithm> {
        ALL.iter().find(|(own, _)| *own == name).map(|(_, algorithm)| *algorithm)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }
}

/// A public key, ready for each algorithm that it may be used for.
pub(super) type Uses = Vec<(Algorithm, ParsedPublicKey)>;

/// An RSA key, for all algorithms of RSA or for `only` one. Keys of less than 2048 bits verify nothing (RFC 7518,
/// section 3.3).
pub(super) fn rsa(modulus: &[u8], exponent: &[u8], only: Option<Algorithm>) -> Uses {
    let trimmed = |number: &[u8]| -> Vec<u8> {
        number.iter().copied().skip_while(|byte| *byte == 0).collect()
    };
    let components = RsaPublicKeyComponents { n: trimmed(modulus), e: trimmed(exponent) };
    if components.n.len() < 256 {
        return Uses::new();
    }
    let algorithms = RSA.iter().filter(|it| only.is_none_or(|only| only == **it));
    let uses = algorithms.filter_map(|algorithm| {
        let key = components.to_parsed_public_key(algorithm.rsa()?).ok()?;
        Some((*algorithm, key))
    });
    uses.collect()
}

/// The curves of RFC 7518, section 6.2.1.1: name, length of a coordinate, the one algorithm of it.
const CURVES: [(&str, usize, Algorithm, &EcdsaVerificationAlgorithm); 3] = [
    ("P-256", 32, Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED),
    ("P-384", 48, Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED),
    ("P-521", 66, Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED),
];

/// A key of an elliptic curve by its two coordinates, each of full length.
pub(super) fn elliptic(curve: &str, x: &[u8], y: &[u8], only: Option<Algorithm>) -> Uses {
    let Some((_, length, algorithm, by)) = CURVES.iter().find(|(name, ..)| *name == curve) else {
        return Uses::new();
    };
    if x.len() != *length || y.len() != *length || only.is_some_and(|only| only != *algorithm) {
        return Uses::new();
    }
    // SEC 1, section 2.3.3: an uncompressed point.
    let point = [&[4][..], x, y].concat();
    let key = ParsedPublicKey::new(*by, point).ok();
    key.map(|key| (*algorithm, key)).into_iter().collect()
}

/// A key of Ed25519 (RFC 8037, section 2).
pub(super) fn ed25519(x: &[u8], only: Option<Algorithm>) -> Uses {
    if x.len() != signature::ED25519_PUBLIC_KEY_LEN
        || only.is_some_and(|only| only != Algorithm::EdDsa)
    {
        return Uses::new();
    }
    let key = ParsedPublicKey::new(&signature::ED25519, x).ok();
    key.map(|key| (Algorithm::EdDsa, key)).into_iter().collect()
}
