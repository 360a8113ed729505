//! SPIFFE ids in Istio's form: `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::host::is_dns_subdomain;

/// A trust domain: lower-case letters, digits, `.`, `-` and `_`, at most 255 bytes
/// (SPIFFE-ID specification, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name as it stands in ids.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > 255 || !text.bytes().all(fits) {
            return Err(SpiffeIdError::TrustDomain(text.into()));
        }
        Ok(TrustDomain(text.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a workload is: trust domain, namespace and service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    namespace: String,
    service_account: String,
}

impl SpiffeId {
    /// Builds an id from its parts; namespace and service account must be DNS names as Kubernetes
    /// requires of them.
    pub fn new(
        trust_domain: TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeIdError> {
        for part in [namespace, service_account] {
            if !is_dns_subdomain(part) {
                return Err(SpiffeIdError::Part(part.into()));
            }
        }
        Ok(SpiffeId {
            trust_domain,
            namespace: namespace.into(),
            service_account: service_account.into(),
        })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The service account.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spiffe://{}/ns/{}/sa/{}",
            self.trust_domain, self.namespace, self.service_account
        )
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SpiffeIdError::Shape(text.into());
        let rest = text.strip_prefix("spiffe://").ok_or_else(wrong)?;
        let mut parts = rest.split('/');
        let trust_domain = parts.next().ok_or_else(wrong)?.parse()?;
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("ns"), Some(namespace), Some("sa"), Some(account), None) => {
                SpiffeId::new(trust_domain, namespace, account)
            }
            _ => Err(wrong()),
        }
    }
}

/// Why a text is no SPIFFE id of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpiffeIdError {
    /// Not of the form that Istio gives to workloads.
    #[error(
        "`{0}` is not a workload's SPIFFE id: expected spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT"
    )]
    Shape(String),
    /// The trust domain has forbidden characters or length.
    #[error(
        "`{0}` is not a trust domain: lower-case letters, digits, `.`, `-` and `_`, at most 255"
    )]
    TrustDomain(String),
    /// Namespace or service account is no DNS name.
    #[error("`{0}` is not a namespace or service account: lower-case letters, digits, `-` and `.`")]
    Part(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_was_written() {
        let text = "spiffe://cluster.local/ns/default/sa/storefront";
        let id: SpiffeId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!((id.namespace(), id.service_account()), ("default", "storefront"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "cluster.local/ns/a/sa/b",
            "https://cluster.local/ns/a/sa/b",
            "spiffe://cluster.local/ns/a",
            "spiffe://cluster.local/ns/a/sa/b/c",
            "spiffe://Cluster.local/ns/a/sa/b",
            "spiffe:///ns/a/sa/b",
            "spiffe://cluster.local/ns//sa/b",
            "spiffe://cluster.local/ns/a/sa/b%20",
        ] {
            assert!(text.parse::<SpiffeId>().is_err(), "{text}");
        }
    }
}
