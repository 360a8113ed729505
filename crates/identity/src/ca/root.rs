//! The root and intermediate certificates that the control plane makes for itself on first start.

use std::time::{Duration, SystemTime};

use meltemi_names::TrustDomain;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyUsagePurpose, SerialNumber,
};

use crate::key::KeyPair;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a root is good: replacing it needs every workload, so it is made to last.
pub(super) const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * DAY.as_secs());

/// How long an intermediate is good; a new one is made when 80 % are over.
pub(super) const INTERMEDIATE_LIFE: Duration = Duration::from_secs(365 * DAY.as_secs());

/// Certificates begin this much before they are made, so that a peer whose clock is a little behind
/// does not take a new one as not yet valid.
pub(super) const BACKDATE: Duration = Duration::from_secs(10);

/// Makes the self-signed root.
pub(super) fn make_root(
    trust_domain: &TrustDomain,
    key: &KeyPair,
    now: SystemTime,
) -> Result<Certificate, rcgen::Error> {
    params(trust_domain, "root CA", IsCa::Ca(BasicConstraints::Unconstrained), now, now + ROOT_LIFE)
        .self_signed(key.signer())
}

/// Makes an intermediate that may sign workloads' certificates only (path length 0). It does not
/// outlive the root.
pub(super) fn make_intermediate(
    trust_domain: &TrustDomain,
    key: &KeyPair,
    root: &Issuer<'_, rcgen::KeyPair>,
    root_not_after: SystemTime,
    now: SystemTime,
) -> Result<Certificate, rcgen::Error> {
    let not_after = (now + INTERMEDIATE_LIFE).min(root_not_after);
    let constraint = IsCa::Ca(BasicConstraints::Constrained(0));
    let mut params = params(trust_domain, "intermediate CA", constraint, now, not_after);
    params.use_authority_key_identifier_extension = true;
    params.signed_by(key.signer(), root)
}

fn params(
    trust_domain: &TrustDomain,
    role: &str,
    is_ca: IsCa,
    now: SystemTime,
    not_after: SystemTime,
) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, trust_domain.as_str());
    name.push(DnType::CommonName, format!("Meltemi {role}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = is_ca;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(random_serial());
    params.not_before = (now - BACKDATE).into();
    params.not_after = not_after.into();
    params
}

/// 128 random bits but for the sign bit, which must be 0 (RFC 5280, section 4.1.2.2).
pub(super) fn random_serial() -> SerialNumber {
    let mut bytes = rand::random::<[u8; 16]>();
    bytes[0] &= 0x7f;
    SerialNumber::from_slice(&bytes)
}
