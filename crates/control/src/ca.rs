//! `/meltemi/v1/ca`: how the CA is, and the steps of a replacement of its root.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use meltemi_apiserver::Failure;
use meltemi_audit::{Change, Changes, ObjectRef, difference, timestamp};
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

async fn prepare(
    State(truster): State<Truster>,
    Extension(changes): Extension<Changes>,
) -> Result<Json<Value>, Failure> {
    let before = state(&truster);
    truster.authority.prepare_root(SystemTime::now()).map_err(refusal)?;
    told(&truster, &before, &changes).await
}

/// Waits until every member that is connected believes the new root: from then on nobody is shut out by it.
async fn activate(
    State(truster): State<Truster>,
    Extension(changes): Extension<Changes>,
    Query(Force { force }): Query<Force>,
) -> Result<Json<Value>, Failure> {
    let before = state(&truster);
    let version = truster.tell().await?;
    let waited = tokio::time::timeout(PATIENCE, truster.hub.believed(&version)).await;
    if waited.is_err() && !force {
        let (all, behind) = truster.members();
        return Err(Failure::not_now(format!(
            "{behind} of {all} proxies do not believe the new root yet; see why in their logs, or force it"
        )));
    }
    truster.authority.activate_root(SystemTime::now()).map_err(refusal)?;
    told(&truster, &before, &changes).await
}

async fn retire(
    State(truster): State<Truster>,
    Extension(changes): Extension<Changes>,
    Query(Force { force }): Query<Force>,
) -> Result<Json<Value>, Failure> {
    let before = state(&truster);
    truster.authority.retire_roots(force, SystemTime::now()).map_err(refusal)?;
    // Its own certificate may be of the old root yet, by which nobody would know it from here on.
    if let Err(error) = truster.own.renew(SystemTime::now()) {
        tracing::error!(%error, "the control plane's own certificate could not be renewed: restart it");
    }
    told(&truster, &before, &changes).await
}

/// Answers after a step, of which the audit log says what it has changed.
async fn told(
    truster: &Truster,
    before: &Value,
    changes: &Changes,
) -> Result<Json<Value>, Failure> {
    changes.note(Change {
        object: ObjectRef { resource: "ca".into(), ..ObjectRef::default() },
        verb: "update",
        difference: difference("ca", Some(before), Some(&state(truster))),
    });
    truster.tell().await?;
    Ok(Json(report(truster)))
}

fn report(truster: &Truster) -> Value {
    let mut report = state(truster);
    let (members, behind) = truster.members();
    report["proxies"] = members.into();
    report["proxiesBehind"] = behind.into();
    report
}

/// What the steps change.
fn state(truster: &Truster) -> Value {
    let time = |at: SystemTime| {
        timestamp::format(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    };
    let authority = &truster.authority;
    let (phase, until) = match authority.rotation() {
        Rotation::Idle => ("idle", None),
        Rotation::Prepared => ("prepared", None),
        Rotation::Activated { until } => ("activated", Some(time(until))),
    };
    json!({
        "trustDomain": authority.trust_domain().to_string(),
        "roots": authority.bundle().fingerprints(),
        "signingUntil": time(authority.not_after()),
        "rotation": phase,
        "oldRootUntil": until,
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
