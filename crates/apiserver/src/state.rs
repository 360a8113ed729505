//! What the API needs to work: the store, who may ask, under which names, and when to end.

use std::fmt;
use std::sync::Arc;

use meltemi_audit::AuditLog;
use meltemi_store::Store;
use tokio::sync::watch;

use crate::auth::{Anyone, Authenticator};
use crate::host::Hosts;
use crate::rejected::Rejections;

/// The parts of the API, put together by the control plane.
#[derive(Clone)]
pub struct ApiState {
    /// Where the objects are.
    pub store: Arc<dyn Store>,
    /// Who may ask.
    pub auth: Arc<dyn Authenticator>,
    /// The names under which the API may be asked.
    pub hosts: Hosts,
    /// Ends open watches when the server stops.
    pub closing: Closing,
    /// Where changes and uses of tokens are told.
    pub audit: AuditLog,
    /// Who knows what is set aside; without it nothing is.
    pub rejections: Option<Arc<dyn Rejections>>,
}

impl ApiState {
    /// An API over this store, open to everybody who can reach it: set `auth` to change that.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            auth: Arc::new(Anyone),
            hosts: Hosts::default(),
            closing: Closing::never(),
            audit: AuditLog::off(),
            rejections: None,
        }
    }

    /// The same with another gate.
    #[must_use]
    pub fn with_auth(mut self, auth: impl Authenticator) -> Self {
        self.auth = Arc::new(auth);
        self
    }

    /// The same under more names.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// The same with a sign that ends open watches.
    #[must_use]
    pub fn with_closing(mut self, closing: Closing) -> Self {
        self.closing = closing;
        self
    }

    /// The same with an audit log.
    #[must_use]
    pub fn with_audit(mut self, audit: AuditLog) -> Self {
        self.audit = audit;
        self
    }

    /// The same with somebody who knows what is set aside.
    #[must_use]
    pub fn with_rejections(mut self, rejections: impl Rejections) -> Self {
        self.rejections = Some(Arc::new(rejections));
        self
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("auth", &self.auth)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// The sign that the server is stopping. Without it a graceful stop would wait for every open watch.
#[derive(Debug, Clone)]
pub struct Closing(Option<watch::Receiver<bool>>);

impl Closing {
    /// Never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// Comes when the channel holds `true`.
    pub fn on(receiver: watch::Receiver<bool>) -> Self {
        Self(Some(receiver))
    }

    /// Waits for the sign.
    pub(crate) async fn wait(&mut self) {
        if let Some(receiver) = &mut self.0
            && receiver.wait_for(|closing| *closing).await.is_ok()
        {
            return;
        }
        // The sender is gone without a sign: there will be none.
        std::future::pending().await
    }
}
