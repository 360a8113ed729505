//! A workload's identity in use: the current SVID, the trust bundle, and the TLS configurations made of
//! them, swapped whole when the certificate is renewed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use meltemi_names::{SpiffeId, TrustDomain};
use parking_lot::Mutex;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio::sync::watch;

use crate::bundle::TrustBundle;
use crate::deny::DenyList;
use crate::federation::Federation;
use crate::svid::Svid;
use crate::tls::Leaf;
use crate::tls::client::{self, SvidVerifier};
use crate::tls::server::{self, ClientAuth};

/// Why an identity could not be put in use.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// rustls refused the SVID or the bundle.
    #[error("no TLS configuration can be made of the certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// A renewed SVID is another workload's.
    #[error("the renewed certificate is for {found}, but this workload is {own}")]
    Changed {
        /// Who this workload is.
        own: Box<SpiffeId>,
        /// Whose certificate was given.
        found: Box<SpiffeId>,
    },
}

/// The application protocols of the configurations to make ready: one server's list, and one list for
/// each kind of client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlpnPlan {
    /// What the server side accepts, best first.
    pub server: Vec<Vec<u8>>,
    /// What each client configuration offers; [`TlsConfigs::clients`] has the same order.
    pub clients: Vec<Vec<Vec<u8>>>,
}

/// Whom a member of the mesh believes.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Roots, one of which the certificate of a peer of our own trust domain must lead to.
    pub bundle: Arc<TrustBundle>,
    /// Peers of other trust domains, and their roots.
    pub federation: Arc<Federation>,
    /// Certificates that are refused all the same.
    pub denied: Arc<DenyList>,
}

impl Trust {
    /// Believes in members of our own trust domain by these roots, and in nobody else.
    pub fn in_members(bundle: TrustBundle) -> Self {
        Trust { bundle: Arc::new(bundle), federation: Arc::default(), denied: Arc::default() }
    }

    /// The roots that certificates of a trust domain must lead to; `None` where nobody of it is believed.
    pub(crate) fn roots(
        &self,
        own: &TrustDomain,
        domain: &TrustDomain,
    ) -> Option<&Arc<TrustBundle>> {
        self.federation.roots(own, &self.bundle, domain)
    }
}

/// Everything of one generation of an identity, ready for use.
pub struct TlsConfigs {
    /// Takes connections from members of the mesh only.
    pub server: Arc<ServerConfig>,
    /// Takes also connections of clients without a certificate (the control plane's port, where proxies
    /// ask for their first one); a certificate that is shown must be good.
    pub server_optional: Arc<ServerConfig>,
    /// One for each entry of [`AlpnPlan::clients`].
    pub clients: Vec<Arc<ClientConfig>>,
    /// The SVID that the configurations show.
    pub svid: Arc<Svid>,
    /// Whom they believe.
    pub trust: Trust,
}

impl TlsConfigs {
    fn build(svid: Arc<Svid>, trust: Trust, plan: &AlpnPlan) -> Result<Self, rustls::Error> {
        let domain = svid.id().trust_domain();
        let certificate = Arc::new(SingleCertAndKey::from(svid.certified().clone()));
        let verifier = Arc::new(SvidVerifier::new(trust.clone(), domain.clone(), None));
        let server = |auth| server::config(&trust, domain, certificate.clone(), auth, &plan.server);
        let clients = plan
            .clients
            .iter()
            .map(|alpn| client::config(verifier.clone(), certificate.clone(), alpn))
            .collect::<Result<_, _>>()?;
        Ok(TlsConfigs {
            server: server(ClientAuth::Required)?,
            server_optional: server(ClientAuth::Optional)?,
            clients,
            svid,
            trust,
        })
    }
}

/// A handle to the identity of this process; clones share it.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    id: SpiffeId,
    plan: AlpnPlan,
    current: ArcSwap<TlsConfigs>,
    /// Held by whoever makes the next generation of the present one; true once the control plane has said whom to
    /// believe.
    told: Mutex<bool>,
    generation: watch::Sender<u64>,
    /// The same number, to be read at no cost.
    counted: AtomicU64,
}

impl Identity {
    /// Makes all configurations of `plan` ready.
    pub fn new(svid: Svid, bundle: TrustBundle, plan: AlpnPlan) -> Result<Self, IdentityError> {
        let id = svid.id().clone();
        let trust = Trust::in_members(bundle);
        let current = TlsConfigs::build(Arc::new(svid), trust, &plan)?;
        Ok(Identity {
            inner: Arc::new(Inner {
                id,
                plan,
                current: ArcSwap::from_pointee(current),
                told: Mutex::new(false),
                generation: watch::Sender::new(0),
                counted: AtomicU64::new(0),
            }),
        })
    }

    /// Puts a renewed SVID and bundle in use: handshakes that begin from now on use them, connections
    /// that stand live on. Session tickets and remembered sessions of the old ones are void. The bundle counts until the
    /// first [`Identity::believe`]; what that said goes before what a certificate was signed with.
    pub fn replace(&self, svid: Svid, bundle: TrustBundle) -> Result<(), IdentityError> {
        if *svid.id() != self.inner.id {
            return Err(IdentityError::Changed {
                own: Box::new(self.inner.id.clone()),
                found: Box::new(svid.id().clone()),
            });
        }
        let told = self.inner.told.lock();
        let mut trust = self.tls().trust.clone();
        if !*told {
            trust.bundle = Arc::new(bundle);
        }
        self.put(Arc::new(svid), trust)
    }

    /// Believes these roots from now on, and no other, but not these certificates. Handshakes that begin from now on follow
    /// it; connections that stand live on, and their holders may look at them again ([`Identity::subscribe`],
    /// [`Identity::is_denied`]).
    pub fn believe(&self, trust: Trust) -> Result<(), IdentityError> {
        let mut told = self.inner.told.lock();
        *told = true;
        self.put(self.svid(), trust)
    }

    /// Whether a peer's certificate (DER), which was good once, is refused now: it was revoked, or nobody of its trust domain
    /// is believed any more.
    pub fn is_denied(&self, certificate: &[u8]) -> bool {
        let Ok(leaf) = Leaf::read(&CertificateDer::from(certificate)) else { return false };
        let trust = &self.tls().trust;
        trust.denied.refuses(&leaf)
            || trust.roots(self.inner.id.trust_domain(), leaf.id.trust_domain()).is_none()
    }

    /// Whether a peer is the workload that was meant, by whichever name of our trust domain
    /// (Istio's `trustDomainAliases`).
    pub fn is_same(&self, expected: &SpiffeId, found: &SpiffeId) -> bool {
        let own = self.inner.id.trust_domain();
        self.tls().trust.federation.is_same(own, expected, found)
    }

    /// Whether a peer is of our own trust domain, by whichever of its names.
    pub fn is_member(&self, peer: &SpiffeId) -> bool {
        let own = self.inner.id.trust_domain();
        self.tls().trust.federation.is_own(own, peer.trust_domain())
    }

    /// Counts the generations, as [`Identity::subscribe`] tells them: one atomic load.
    pub fn generation(&self) -> u64 {
        self.inner.counted.load(Ordering::Acquire)
    }

    fn put(&self, svid: Arc<Svid>, trust: Trust) -> Result<(), IdentityError> {
        let next = TlsConfigs::build(svid, trust, &self.inner.plan)?;
        self.inner.current.store(Arc::new(next));
        self.inner.counted.fetch_add(1, Ordering::Release);
        self.inner.generation.send_modify(|generation| *generation += 1);
        Ok(())
    }

    /// The ready configurations: one atomic load. Hold the guard only for the moment of use.
    pub fn tls(&self) -> Guard<Arc<TlsConfigs>> {
        self.inner.current.load()
    }

    /// The current SVID.
    pub fn svid(&self) -> Arc<Svid> {
        self.tls().svid.clone()
    }

    /// The current trust bundle.
    pub fn bundle(&self) -> Arc<TrustBundle> {
        self.tls().trust.bundle.clone()
    }

    /// Who this workload is; the same for the handle's whole life.
    pub fn id(&self) -> SpiffeId {
        self.inner.id.clone()
    }

    /// Tells of each [`Identity::replace`]: the value counts them.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.generation.subscribe()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("svid", &self.tls().svid).finish_non_exhaustive()
    }
}
