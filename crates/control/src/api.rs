//! The API server: the Kubernetes-shaped API behind its token, and what it is told of the mesh.

use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use meltemi_apiserver::{
    AdminToken, ApiState, Closing, Hosts, Rejected, Rejections, guard, router,
};
use meltemi_audit::AuditLog;
use meltemi_discovery::{Keeper, Publisher};
use meltemi_store::Store;

use crate::admin::ThisMachine;
use crate::ca;
use crate::listen::Bound;
use crate::options::Options;
use crate::outcomes;
use crate::stopping::Stopping;
use crate::trust::Truster;

/// What the API stands on.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) publisher: Arc<Publisher>,
    /// The administrator's token of this machine.
    pub(crate) token: String,
    pub(crate) audit: AuditLog,
    pub(crate) truster: Truster,
    pub(crate) outcomes: Arc<Keeper>,
}

/// The API's routes.
pub(crate) fn routes(
    options: &Options,
    bound: &Bound,
    parts: Parts,
    stopping: &Stopping,
) -> Router {
    let Parts { store, publisher, token, audit, truster, outcomes } = parts;
    let mut names = options.api_names.clone();
    if !bound.api.ip().is_unspecified() {
        names.push(bound.api.ip().to_string());
    }
    let state = ApiState::new(store)
        .with_hosts(Hosts::new(names))
        .with_audit(audit)
        .with_rejections(SetAside(publisher.clone()))
        .with_closing(Closing::on(stopping.0.clone()));
    let state = match options.insecure_loopback {
        true => {
            tracing::warn!(
                "--insecure-loopback: every user and program of this machine may do everything by the API, without a token"
            );
            state.with_auth(ThisMachine)
        }
        false => state.with_auth(AdminToken::new(token)),
    };
    let told = outcomes::routes(outcomes, publisher, state.clone());
    router(state.clone()).merge(guard(ca::routes(truster).merge(told), state))
}

/// What the published snapshot has set aside.
struct SetAside(Arc<Publisher>);

impl Rejections for SetAside {
    fn rejected(&self, version: u64) -> BoxFuture<'_, Vec<Rejected>> {
        Box::pin(async move {
            self.0.reached(version).await;
            let snapshot = self.0.snapshot();
            let rejected = snapshot.rejected().iter().map(|(object, reason)| Rejected {
                kind: object.kind.as_str().to_owned(),
                namespace: object.namespace.to_string(),
                name: object.name.to_string(),
                reason: reason.clone(),
            });
            rejected.collect()
        })
    }
}
