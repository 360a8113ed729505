//! The CA, and the control plane's own certificate: made at the start, renewed at half life.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::ca::Authority;
use meltemi_identity::rotate::{next_renewal, retry_after};
use meltemi_identity::{AlpnPlan, Identity};
use meltemi_names::is_dns_subdomain;

use crate::error::ControlError;
use crate::listen::Bound;
use crate::options::Options;
use crate::state_dir::StateDir;

/// How long the own certificate is good.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// Sleeps are cut into pieces of this length, because a machine that was suspended must notice what is due.
const NAP: Duration = Duration::from_secs(30);

/// Opens the CA: the user's files, or one of its own.
pub(crate) fn open_authority(
    options: &Options,
    state_dir: &StateDir,
) -> Result<Arc<Authority>, ControlError> {
    let (domain, now) = (options.trust_domain.clone(), SystemTime::now());
    let authority = match &options.cacerts {
        Some(dir) => Authority::from_cacerts(dir, domain, now)?,
        None => Authority::open_or_create(&state_dir.ca(), domain, now)?,
    };
    Ok(Arc::new(authority))
}

/// The control plane's identity, and what keeps it fresh.
#[derive(Clone)]
pub(crate) struct OwnIdentity {
    authority: Arc<Authority>,
    identity: Identity,
    /// Addresses and names by which clients that verify them reach the control plane.
    ips: Arc<[IpAddr]>,
    names: Arc<[String]>,
}

impl OwnIdentity {
    /// Has the first certificate signed.
    pub(crate) fn new(
        authority: Arc<Authority>,
        options: &Options,
        bound: &Bound,
    ) -> Result<Self, ControlError> {
        let mut ips = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let given = options.api_names.iter().filter_map(|name| name.parse().ok());
        for own in [bound.secure_xds.ip(), bound.api.ip()].into_iter().chain(given) {
            if !own.is_unspecified() && !ips.contains(&own) {
                ips.push(own);
            }
        }
        let is_name = |name: &&String| name.parse::<IpAddr>().is_err() && is_dns_subdomain(name);
        let names: Arc<[String]> = options.api_names.iter().filter(is_name).cloned().collect();
        let svid = authority.issue_control_plane(&names, &ips, TTL, SystemTime::now())?;
        let plan = AlpnPlan { server: vec![b"h2".to_vec()], clients: Vec::new() };
        let identity = Identity::new(svid, authority.bundle(), plan)?;
        Ok(OwnIdentity { authority, identity, ips: ips.into(), names })
    }

    /// The identity in use.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Renews for ever: at half life, after failures again and again.
    pub(crate) async fn keep_fresh(self) {
        let mut failures = 0;
        loop {
            let svid = self.identity.svid();
            let jitter = rand::random();
            let due = SystemTime::now()
                + match failures {
                    0 => {
                        let now = SystemTime::now();
                        next_renewal(svid.not_before(), svid.not_after(), now, jitter)
                    }
                    failures => retry_after(failures, jitter),
                };
            while let Ok(left) = due.duration_since(SystemTime::now()) {
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(NAP)).await;
            }
            match self.renew(SystemTime::now()) {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    tracing::error!(%error, "the control plane's certificate could not be renewed yet");
                }
            }
        }
    }

    /// One renewal: of the intermediate too, if its time has come.
    pub(crate) fn renew(&self, now: SystemTime) -> Result<(), ControlError> {
        if self.authority.renew_if_due(now)? {
            tracing::info!("the CA has a new intermediate certificate");
        }
        let svid = self.authority.issue_control_plane(&self.names, &self.ips, TTL, now)?;
        self.identity.replace(svid, self.authority.bundle())?;
        tracing::info!("the control plane's certificate was renewed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_puts_a_new_certificate_of_the_same_identity_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let domain = "cluster.local".parse().unwrap();
        let authority = Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap();
        let options = Options::new(dir.path(), "cluster.local".parse().unwrap());
        let address = "127.0.0.1:1".parse().unwrap();
        let (xds, dns, monitoring) = (None, None, None);
        let bound = Bound { api: address, xds, secure_xds: address, dns, monitoring };
        let own = OwnIdentity::new(Arc::new(authority), &options, &bound).unwrap();
        let (before, id) = (own.identity().svid(), own.identity().id());
        let later = SystemTime::now() + Duration::from_secs(3600);
        own.renew(later).unwrap();
        let after = own.identity().svid();
        assert_eq!(own.identity().id(), id);
        assert!(after.not_after() > before.not_after());
        assert_eq!(own.identity().tls().server_optional.alpn_protocols, [b"h2".to_vec()]);
    }
}
