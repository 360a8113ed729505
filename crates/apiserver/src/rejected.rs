//! `GET /meltemi/v1/rejected`: what was stored but the mesh cannot use, as the keeper of the mesh's model knows it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures_util::future::BoxFuture;
use http::Uri;
use serde::Serialize;

use crate::query::Parameters;
use crate::state::ApiState;
use crate::status::Failure;

/// How long an asker is kept waiting for a version that is yet to be taken in; as long as Kubernetes lets one wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// A resource that is set aside: it is in the store, but has not the effect that it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// As in `ServiceEntry`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// Who takes resources out of the store into the mesh, and so knows which of them are of no use.
pub trait Rejections: Send + Sync + 'static {
    /// Everything that is set aside once the store has been taken in up to this version. It waits for that, so that who
    /// has just written an object hears of it.
    fn rejected(&self, version: u64) -> BoxFuture<'_, Vec<Rejected>>;
}

/// Answers as of `?resourceVersion=` or later.
pub(crate) async fn list(
    State(state): State<ApiState>,
    uri: Uri,
) -> Result<Json<Vec<Rejected>>, Failure> {
    let version = Parameters::parse(&uri)?.from()?.unwrap_or_default();
    let Some(rejections) = &state.rejections else {
        return Ok(Json(Vec::new()));
    };
    match tokio::time::timeout(PATIENCE, rejections.rejected(version)).await {
        Ok(rejected) => Ok(Json(rejected)),
        Err(_) => Err(Failure::not_yet(version)),
    }
}
