//! `CertificateRevocation`: certificates that are refused before their time is over.

use meltemi_names::SpiffeId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};

/// Certificates that the mesh's members and its control plane refuse from now on.
pub type CertificateRevocation = Object<CertificateRevocationSpec, CertificateRevocationStatus>;

/// Which certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateRevocationSpec {
    /// Those of these serial numbers: hex digits, with or without colons.
    pub serial_numbers: Vec<String>,
    /// Those of these workloads, `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT` as in Istio's principals, that begin before
    /// `issuedBefore`.
    pub principals: Vec<String>,
    /// RFC 3339; the time at which the object was made if it is left out.
    pub issued_before: String,
    /// Why, for people.
    pub reason: String,
}

/// Nothing yet: a revocation has no status of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CertificateRevocationStatus {}

impl Spec for CertificateRevocationSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        if self.serial_numbers.is_empty() && self.principals.is_empty() {
            let message = "nothing is revoked: give `serialNumbers` or `principals`";
            report.error(at.clone(), message);
        }
        for (index, serial) in self.serial_numbers.iter().enumerate() {
            let digits = serial.bytes().filter(|byte| *byte != b':');
            let is_hex = serial.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            if !is_hex || !(1..=42).contains(&digits.count()) || is_zero(serial) {
                let message = format!("`{serial}` is no serial number: hex digits are expected");
                report.error(at.field("serialNumbers").item(index), message);
            }
        }
        for (index, principal) in self.principals.iter().enumerate() {
            if let Err(error) = format!("spiffe://{principal}").parse::<SpiffeId>() {
                let message = format!("`{principal}` is no principal: {error}");
                report.error(at.field("principals").item(index), message);
            }
        }
    }
}

fn is_zero(serial: &str) -> bool {
    serial.bytes().all(|byte| byte == b'0' || byte == b':')
}
