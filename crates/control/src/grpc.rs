//! The gRPC servers: for members of the mesh over TLS, and for readers on this machine in plaintext.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use meltemi_audit::AuditLog;
use meltemi_discovery::{
    Access, CertificateService, DiscoveryService, Hub, Keeper, LoadStatsService, Metrics,
    Publisher, RegistrationService, Registry, Tokens,
};
use meltemi_identity::Identity;
use meltemi_identity::ca::Authority;
use meltemi_identity::token::{Issuer, SpentTokens};
use meltemi_wire::transport::Incoming;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::stopping::{Closable, Stopping};

/// How often a proxy that says nothing is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer: a proxy that vanished or hangs is noticed within 10 s, a killed one at once.
const PING_ANSWER: Duration = Duration::from_secs(5);
/// The largest request of discovery: a returning proxy tells the version of everything that it holds.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// What the services stand on.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) tokens: Issuer,
    pub(crate) spent: Arc<SpentTokens>,
    pub(crate) audit: AuditLog,
    pub(crate) outcomes: Arc<Keeper>,
    /// How often proxies are to report.
    pub(crate) report_every: Duration,
}

impl Services {
    /// Certificates, registration and discovery over TLS, until the stop.
    pub(crate) async fn serve_members(
        self,
        listener: TcpListener,
        identity: Identity,
        stopping: Stopping,
    ) {
        let certificates = CertificateService::server(
            self.authority,
            Tokens { issuer: self.tokens, spent: self.spent },
            self.metrics.clone(),
            self.audit,
        );
        let registration = RegistrationService::server(
            self.registry,
            self.publisher.clone(),
            self.hub.clone(),
            self.metrics.clone(),
        );
        let reports =
            LoadStatsService::server(self.outcomes, self.publisher.clone(), self.report_every);
        let discovery =
            DiscoveryService::server(self.publisher, self.hub, self.metrics, Access::Members)
                .max_decoding_message_size(MAX_REQUEST);
        let router =
            server().add_service(certificates).add_service(registration).add_service(discovery);
        let router = router.add_service(reports);
        let judge = identity.clone();
        let incoming = Incoming::tls(listener, move || identity.tls().server_optional.clone());
        serve(router, incoming, stopping, Some(judge)).await;
    }

    /// Discovery of services and endpoints for whoever can connect, until the stop.
    pub(crate) async fn serve_anybody(self, listener: TcpListener, stopping: Stopping) {
        let discovery =
            DiscoveryService::server(self.publisher, self.hub, self.metrics, Access::Anybody)
                .max_decoding_message_size(MAX_REQUEST);
        serve(server().add_service(discovery), Incoming::plaintext(listener), stopping, None).await;
    }
}

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_ANSWER))
}

/// Serves until the stop, and until every connection has ended after it.
async fn serve(router: Router, incoming: Incoming, stopping: Stopping, judge: Option<Identity>) {
    let until = stopping.clone();
    let connections = incoming.map(move |it| {
        it.map(|connection| Closable::new(connection, stopping.clone(), judge.clone()))
    });
    let served = router.serve_with_incoming_shutdown(connections, until.wait()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the gRPC server has failed");
    }
}
