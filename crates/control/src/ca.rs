//! `/meltemi/v1/ca`: how the CA is, and the steps of a replacement of its root.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use meltemi_apiserver::Failure;
use meltemi_audit::timestamp;
use meltemi_identity::ca::{Rotation, RotationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::trust::Truster;

/// How long members may take to believe what is new.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn routes(truster: Truster) -> Router {
    Router::new()
        .route("/meltemi/v1/ca", get(status))
        .route("/meltemi/v1/ca/root/prepare", post(prepare))
        .route("/meltemi/v1/ca/root/activate", post(activate))
        .route("/meltemi/v1/ca/root/retire", post(retire))
        .with_state(truster)
}

#[derive(Deserialize, Default)]
struct Force {
    #[serde(default)]
    force: bool,
}

async fn status(State(truster): State<Truster>) -> Json<Value> {
    Json(report(&truster))
}

async fn prepare(State(truster): State<Truster>) -> Result<Json<Value>, Failure> {
    truster.authority.prepare_root(SystemTime::now()).map_err(refusal)?;
    told(&truster).await
}

/// Waits until every member that is connected believes the new root: from then on nobody is shut out by it.
async fn activate(
    State(truster): State<Truster>,
    Query(Force { force }): Query<Force>,
) -> Result<Json<Value>, Failure> {
    let version = truster.tell().await?;
    let waited = tokio::time::timeout(PATIENCE, truster.hub.believed(&version)).await;
    if waited.is_err() && !force {
        let (all, behind) = truster.members();
        return Err(Failure::not_now(format!(
            "{behind} of {all} proxies do not believe the new root yet; see why in their logs, or force it"
        )));
    }
    truster.authority.activate_root(SystemTime::now()).map_err(refusal)?;
    told(&truster).await
}

async fn retire(
    State(truster): State<Truster>,
    Query(Force { force }): Query<Force>,
) -> Result<Json<Value>, Failure> {
    truster.authority.retire_roots(force, SystemTime::now()).map_err(refusal)?;
    told(&truster).await
}

async fn told(truster: &Truster) -> Result<Json<Value>, Failure> {
    truster.tell().await?;
    Ok(Json(report(truster)))
}

fn report(truster: &Truster) -> Value {
    let time = |at: SystemTime| {
        timestamp::format(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    };
    let authority = &truster.authority;
    let (phase, until) = match authority.rotation() {
        Rotation::Idle => ("idle", None),
        Rotation::Prepared => ("prepared", None),
        Rotation::Activated { until } => ("activated", Some(time(until))),
    };
    let (members, behind) = truster.members();
    json!({
        "trustDomain": authority.trust_domain().to_string(),
        "roots": authority.bundle().fingerprints(),
        "signingUntil": time(authority.not_after()),
        "rotation": phase,
        "oldRootUntil": until,
        "proxies": members,
        "proxiesBehind": behind,
    })
}

fn refusal(error: RotationError) -> Failure {
    match error {
        RotationError::Turn(_) | RotationError::Early(_) => Failure::not_now(error.to_string()),
        RotationError::Authority(error) => {
            tracing::error!(%error, "the root could not be replaced");
            Failure::internal(error.to_string())
        }
    }
}
