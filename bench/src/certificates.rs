//! Certificates for the contestants that bring no authority of their own: ECDSA P-256, SPIFFE ids, made at each start.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

use crate::error::BenchError;

/// The root's file.
pub const CA: &str = "ca.pem";
/// The server's DNS name, for those that verify no SPIFFE ids.
pub const NAME: &str = "server.bench.internal";

/// One end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The proxy that calls.
    Client,
    /// The proxy that is called.
    Server,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }

    /// The file of its certificate.
    pub fn certificate(self) -> String {
        format!("{}.pem", self.word())
    }

    /// The file of its key.
    pub fn key(self) -> String {
        format!("{}-key.pem", self.word())
    }

    /// The file of both, as HAProxy wants them.
    pub fn both(self) -> String {
        format!("{}-both.pem", self.word())
    }
}

/// Writes a root and a certificate for each end.
pub fn make(directory: &Path) -> Result<(), BenchError> {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.distinguished_name.push(DnType::CommonName, "bench root");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = root.self_signed(&key)?;
    write(directory, CA, &certificate.pem())?;
    let issuer = Issuer::new(root, key);
    for side in [Side::Client, Side::Server] {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = leaf(side)?.signed_by(&key, &issuer)?.pem();
        let key = key.serialize_pem();
        write(directory, &side.certificate(), &certificate)?;
        write(directory, &side.key(), &key)?;
        write(directory, &side.both(), &(certificate + &key))?;
    }
    Ok(())
}

fn leaf(side: Side) -> Result<CertificateParams, BenchError> {
    let id = format!("spiffe://cluster.local/ns/default/sa/{}", side.word());
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
    if side == Side::Server {
        leaf.subject_alt_names.push(SanType::DnsName(NAME.try_into()?));
    }
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    Ok(leaf)
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), BenchError> {
    let path = directory.join(name);
    std::fs::write(&path, text).map_err(BenchError::system(format!("write {}", path.display())))
}
