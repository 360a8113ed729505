//! The end of a peer's right to a connection that stands: its certificate was good at the handshake, and is so no longer.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::identity::Identity;
use crate::tls::Leaf;

/// Why a connection has outlived its peer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlived {
    /// The certificate's time is over.
    Expired,
    /// It was revoked, or nobody of its trust domain is believed any more.
    Denied,
}

impl Identity {
    /// Waits until the certificate of a peer (DER), which was good at the handshake, is so no longer.
    pub async fn outlived(&self, certificate: &CertificateDer<'_>) -> Outlived {
        let mut news = self.subscribe();
        let ends = Leaf::read(certificate).map(|leaf| leaf.not_after);
        loop {
            news.borrow_and_update();
            if self.is_denied(certificate) {
                return Outlived::Denied;
            }
            // What cannot be read, no handshake has taken.
            let Ok(ends) = ends else { return Outlived::Denied };
            let Ok(left) = ends.duration_since(SystemTime::now()) else {
                return Outlived::Expired;
            };
            tokio::select! {
                // By the clock of the wall it may be early: it is looked at again.
                () = tokio::time::sleep(left) => {}
                _ = news.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ca::Authority;
    use crate::{AlpnPlan, DenyList, Trust, csr, key};

    /// How long a certificate of the CA lives at least.
    const SHORTEST: Duration = Duration::from_secs(300);

    struct Ends {
        _dir: tempfile::TempDir,
        authority: Authority,
        own: Identity,
    }

    impl Ends {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (domain, now) = ("cluster.local".parse().unwrap(), SystemTime::now());
            let authority = Authority::open_or_create(dir.path(), domain, now).unwrap();
            let svid = authority.issue_control_plane(&[], &[], SHORTEST, now).unwrap();
            let own = Identity::new(svid, authority.bundle(), AlpnPlan::default()).unwrap();
            Ends { _dir: dir, authority, own }
        }

        /// A certificate with this much left of its life.
        fn certificate(&self, left: Duration) -> CertificateDer<'static> {
            use rustls_pki_types::pem::PemObject;
            let id = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
            let csr = csr::create(&key::generate().unwrap(), &id).unwrap();
            let then = SystemTime::now() + left - SHORTEST;
            let chain = self.authority.sign(&csr, &id, SHORTEST, then).unwrap();
            CertificateDer::from_pem_slice(chain[0].as_bytes()).unwrap()
        }
    }

    #[tokio::test]
    async fn a_certificate_is_outlived_when_its_time_is_over_and_not_before() {
        let ends = Ends::new();
        let certificate = ends.certificate(Duration::from_secs(2));
        let not_after = Leaf::read(&certificate).unwrap().not_after;
        assert_eq!(ends.own.outlived(&certificate).await, Outlived::Expired);
        assert!(SystemTime::now() >= not_after);
    }

    #[tokio::test]
    async fn a_certificate_is_outlived_when_it_is_revoked() {
        let ends = Ends::new();
        let certificate = ends.certificate(SHORTEST);
        let leaf = Leaf::read(&certificate).unwrap();
        let own = ends.own.clone();
        let waiting = tokio::spawn({
            let certificate = certificate.clone();
            async move { own.outlived(&certificate).await }
        });
        let believe = |denied: DenyList| {
            let trust = Trust::in_members(ends.authority.bundle());
            ends.own.believe(Trust { denied: Arc::new(denied), ..trust }).unwrap();
        };
        let mut other = DenyList::default();
        assert!(other.deny_serial("7"));
        believe(other.clone());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "another certificate was revoked");
        other.deny_id(leaf.id, SystemTime::now() + SHORTEST);
        believe(other);
        assert_eq!(waiting.await.unwrap(), Outlived::Denied);
    }
}
