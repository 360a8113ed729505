//! The API server: the Kubernetes-shaped API behind its token.

use std::sync::Arc;

use axum::Router;
use meltemi_apiserver::{AdminToken, ApiState, Closing, Hosts, router};
use meltemi_store::Store;

use crate::admin::ThisMachine;
use crate::listen::Bound;
use crate::options::Options;
use crate::stopping::Stopping;

/// The API's routes.
pub(crate) fn routes(
    options: &Options,
    bound: &Bound,
    store: Arc<dyn Store>,
    token: &str,
    stopping: &Stopping,
) -> Router {
    let mut names = options.api_names.clone();
    if !bound.api.ip().is_unspecified() {
        names.push(bound.api.ip().to_string());
    }
    let state = ApiState::new(store)
        .with_hosts(Hosts::new(names))
        .with_closing(Closing::on(stopping.0.clone()));
    router(match options.insecure_loopback {
        true => state.with_auth(ThisMachine),
        false => state.with_auth(AdminToken::new(token)),
    })
}
