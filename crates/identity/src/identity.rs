//! A workload's identity in use: the current SVID, the trust bundle, and the TLS configurations made of
//! them, swapped whole when the certificate is renewed.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use meltemi_names::SpiffeId;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;
use tokio::sync::watch;

use crate::bundle::TrustBundle;
use crate::svid::Svid;
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
    /// The roots that they verify against.
    pub bundle: Arc<TrustBundle>,
}

impl TlsConfigs {
    fn build(
        svid: Arc<Svid>,
        bundle: Arc<TrustBundle>,
        plan: &AlpnPlan,
    ) -> Result<Self, rustls::Error> {
        let domain = svid.id().trust_domain();
        let certificate = Arc::new(SingleCertAndKey::from(svid.certified().clone()));
        let verifier = Arc::new(SvidVerifier::new(&bundle, domain.clone(), None));
        let server =
            |auth| server::config(&bundle, domain, certificate.clone(), auth, &plan.server);
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
            bundle,
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
    generation: watch::Sender<u64>,
}

impl Identity {
    /// Makes all configurations of `plan` ready.
    pub fn new(svid: Svid, bundle: TrustBundle, plan: AlpnPlan) -> Result<Self, IdentityError> {
        let id = svid.id().clone();
        let current = TlsConfigs::build(Arc::new(svid), Arc::new(bundle), &plan)?;
        Ok(Identity {
            inner: Arc::new(Inner {
                id,
                plan,
                current: ArcSwap::from_pointee(current),
                generation: watch::Sender::new(0),
            }),
        })
    }

    /// Puts a renewed SVID and bundle in use: handshakes that begin from now on use them, connections
    /// that stand live on. Session tickets and remembered sessions of the old ones are void.
    pub fn replace(&self, svid: Svid, bundle: TrustBundle) -> Result<(), IdentityError> {
        if *svid.id() != self.inner.id {
            return Err(IdentityError::Changed {
                own: Box::new(self.inner.id.clone()),
                found: Box::new(svid.id().clone()),
            });
        }
        let next = TlsConfigs::build(Arc::new(svid), Arc::new(bundle), &self.inner.plan)?;
        self.inner.current.store(Arc::new(next));
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
        self.tls().bundle.clone()
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
