//! Outcomes of calls: `GET /meltemi/v1/outcomes`, and the file that keeps them over a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use meltemi_apiserver::{ApiState, Failure, Principal, may_see};
use meltemi_discovery::{Keeper, Publisher};
use meltemi_model::Snapshot;
use meltemi_model::ejections::Finding;
use meltemi_model::outcomes::{EndpointId, HOUR, Outcomes, Row};
use meltemi_names::DEFAULT_NAMESPACE;
use meltemi_policy::outcome::{Class, Tally};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::state_dir::write_private;

/// The path; who may not read it may still ask of a namespace whose services it may read.
const PATH: &str = "/meltemi/v1/outcomes";
/// What is asked for where no window is named, seconds.
const WINDOW: u32 = 60;
/// How often what is too old is forgotten.
const AGE_EVERY: Duration = Duration::from_secs(2);
/// How often is looked whether something is to be written down.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Not more is written than this within a second, over time, up to files that are then written every [`SELDOM`] seconds ...
const BYTES_A_SECOND: u64 = 128 << 10;
const SELDOM: u64 = 10;
/// ... and not more than this of larger ones.
const MOST_BYTES_A_SECOND: u64 = 1 << 20;

pub(crate) fn routes(keeper: Arc<Keeper>, publisher: Arc<Publisher>, state: ApiState) -> Router {
    Router::new().route(PATH, get(list)).with_state(Api { keeper, publisher, state })
}

#[derive(Clone)]
struct Api {
    keeper: Arc<Keeper>,
    publisher: Arc<Publisher>,
    state: ApiState,
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A service, by any of its names, with `:PORT` behind it where one port is meant; all without.
    service: Option<String>,
    /// Services of this namespace; short names are read in it.
    namespace: Option<String>,
    /// How far back: `30s`, `5m`, `1h`.
    window: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Extension(principal): Extension<Principal>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(asked) = asked.map_err(|error| Failure::bad_request(error.body_text()))?;
    let namespace = asked.namespace.as_deref();
    may_see(&api.state, &principal, PATH, namespace).await?;
    let seconds = match &asked.window {
        Some(text) => parse_window(text).ok_or_else(|| {
            Failure::bad_request(format!("window: `{text}` is none: expected 1s to 1h, as in 5m"))
        })?,
        None => WINDOW,
    };
    let named = asked.service.as_deref();
    let (name, port) =
        named.map(split_port).map_or((None, None), |(name, port)| (Some(name), port));
    let in_namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
    let host = name.map(|name| host_of(&api, name, in_namespace)).transpose()?;
    let mut rows = api.keeper.rows(host.as_deref(), seconds);
    let is_meant = |of: &str, endpoint: &EndpointId| {
        namespace.is_none_or(|namespace| of == namespace)
            && port.is_none_or(|port| endpoint.port == port)
    };
    rows.retain(|row| is_meant(&row.namespace, &row.endpoint));
    let items: Vec<Value> = rows.iter().map(|row| item(row, seconds)).collect();
    let mut findings = api.keeper.findings(host.as_deref());
    let snapshot = api.publisher.snapshot();
    findings.retain(|it| is_meant(&it.namespace, &it.endpoint) && is_there(&snapshot, it));
    let ejections: Vec<Value> = findings.iter().map(ejection).collect();
    Ok(Json(json!({"windowSeconds": seconds, "items": items, "ejections": ejections})))
}

/// Whether an endpoint is still one of its service's: one that has left is called by nobody.
fn is_there(snapshot: &Snapshot, Finding { endpoint, .. }: &Finding) -> bool {
    let Some((namespace, name)) = endpoint.workload.split_once('/') else { return false };
    let mut services = snapshot.versions(&endpoint.host);
    services.any(|it| it.endpoints.get(name).is_some_and(|it| *it.namespace == *namespace))
}

fn ejection(finding: &Finding) -> Value {
    let Finding { endpoint, namespace, caller, reason, is_told, left } = finding;
    json!({
        "service": &*endpoint.host,
        "namespace": &**namespace,
        "port": endpoint.port,
        "endpoint": &*endpoint.workload,
        "caller": &**caller,
        "reason": reason.map(|it| it.as_str()),
        "secondsLeft": left,
        "toldToAll": is_told,
    })
}

/// `NAME` or `NAME:PORT`, as rows are told.
fn split_port(asked: &str) -> (&str, Option<u16>) {
    let parts = asked.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    parts.map_or((asked, None), |(name, port)| (name, Some(port)))
}

/// The host that a name stands for: of a service that there is, or of one that was called within the hour and has gone.
fn host_of(api: &Api, asked: &str, namespace: &str) -> Result<String, Failure> {
    let snapshot = api.publisher.snapshot();
    if let Some(service) = snapshot.find_registered(asked, namespace) {
        return Ok(service.host.to_string());
    }
    let name = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
    let full_name = snapshot.full_name(&name, namespace);
    let is_known = |host: &String| {
        snapshot.service(host).is_some() || !api.keeper.rows(Some(host), HOUR).is_empty()
    };
    [Some(name), full_name].into_iter().flatten().find(is_known).ok_or_else(|| {
        Failure::unknown(format!(
            "there is no service {asked:?} in namespace {namespace:?}, and nobody has called one within the hour"
        ))
    })
}

/// `30s`, `5m`, `1h` or seconds, an hour at most.
fn parse_window(text: &str) -> Option<u32> {
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u32>().ok()?.checked_mul(unit)?;
    (1..=HOUR).contains(&seconds).then_some(seconds)
}

fn item(row: &Row, seconds: u32) -> Value {
    let Row { endpoint, namespace, caller, tally } = row;
    let mut item = json!({
        "service": &*endpoint.host,
        "namespace": &**namespace,
        "port": endpoint.port,
        "endpoint": &*endpoint.workload,
        "caller": &**caller,
    });
    let figures = figures(tally, seconds);
    // It was made an object just above.
    item.as_object_mut().into_iter().for_each(|item| item.extend(figures.clone()));
    item
}

fn figures(tally: &Tally, seconds: u32) -> Map<String, Value> {
    let failures = Class::ALL.into_iter().zip(tally.failures).filter(|(_, count)| *count > 0);
    let failures: Map<String, Value> =
        failures.map(|(class, count)| (class.as_str().to_owned(), json!(count))).collect();
    let told = json!({
        "issued": tally.issued,
        "calls": tally.calls,
        "failures": failures,
        "successRate": tally.success_rate(),
        "callsPerSecond": tally.calls as f64 / f64::from(seconds),
        "inFlight": tally.in_flight,
        "sentBytes": tally.sent,
        "receivedBytes": tally.received,
        "latencyMillis": latency(tally),
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

/// `null` where the reporter told none.
fn latency(tally: &Tally) -> Value {
    let millis = |micros: f64| micros / 1000.0;
    let at = |share: f64| tally.latency.quantile(share).map(|micros| millis(micros as f64));
    match tally.latency.count() {
        0 => Value::Null,
        count => json!({
            "p50": at(0.5),
            "p90": at(0.9),
            "p99": at(0.99),
            "mean": millis(tally.micros as f64 / count as f64),
            "relativeError": tally.latency.error(),
        }),
    }
}

/// What was kept before, if it can be read.
pub(crate) fn open(path: &Path) -> Arc<Keeper> {
    let kept = match std::fs::read(path) {
        Ok(bytes) => Outcomes::from_bytes(&bytes).ok_or("it is no file of outcomes".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Outcomes::default()),
        Err(error) => Err(error.to_string()),
    };
    Arc::new(Keeper::new(kept.unwrap_or_else(|reason| {
        let path = path.display();
        tracing::warn!(%path, reason, "outcomes of before are not known; starting without");
        Outcomes::default()
    })))
}

/// Forgets what is old and writes down what is new, for ever.
pub(crate) async fn keep(keeper: Arc<Keeper>, publisher: Arc<Publisher>, path: PathBuf) {
    let mut written = 0;
    let (mut aged, mut due) = (Instant::now(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if aged.elapsed() >= AGE_EVERY {
            keeper.age(&publisher);
            aged = Instant::now();
        }
        if due <= Instant::now() {
            let size = write_newer(&keeper, &path, &mut written).await;
            due = Instant::now() + pause(size);
        }
    }
}

/// How long nothing is written after a file of so many bytes: what happens meanwhile is lost with a process that is killed.
fn pause(size: u64) -> Duration {
    let seconds = (size / BYTES_A_SECOND).min(SELDOM).max(size / MOST_BYTES_A_SECOND);
    Duration::from_secs(seconds)
}

/// Writes down what there is.
pub(crate) async fn write(keeper: &Arc<Keeper>, path: &Path) {
    write_newer(keeper, path, &mut 0).await;
}

/// How many bytes were written.
async fn write_newer(keeper: &Arc<Keeper>, path: &Path, written: &mut u64) -> u64 {
    let (keeper, at, known) = (keeper.clone(), path.to_owned(), *written);
    let writing = move || {
        let Some((bytes, revision)) = keeper.to_bytes(known) else { return Ok((0, known)) };
        write_private(&at, &bytes).map(|()| (bytes.len() as u64, revision))
    };
    match tokio::task::spawn_blocking(writing).await {
        Ok(Ok((size, revision))) => {
            *written = revision;
            size
        }
        Ok(Err(error)) => {
            let path = path.display();
            tracing::warn!(%path, %error, "outcomes could not be kept; a restart would not know them");
            0
        }
        Err(error) => {
            tracing::error!(%error, "the writer of outcomes failed");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        for (text, expected) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3600)),
            ("60", Some(60)),
            ("2h", None),
            ("0s", None),
            ("m", None),
            ("", None),
            ("-1s", None),
            ("1\u{e4}", None),
        ] {
            assert_eq!(parse_window(text), expected, "{text}");
        }
    }

    #[test]
    fn a_port_behind_a_name_is_read() {
        for (asked, expected) in [
            ("echo", ("echo", None)),
            ("echo:8001", ("echo", Some(8001))),
            ("echo.shop:1", ("echo.shop", Some(1))),
            ("echo:x", ("echo:x", None)),
            ("echo:70000", ("echo:70000", None)),
        ] {
            assert_eq!(split_port(asked), expected);
        }
    }

    #[test]
    fn the_smaller_the_file_the_sooner_it_is_written_again() {
        for (kib, seconds) in [(0, 0), (100, 0), (128, 1), (640, 5), (2 << 10, 10), (30 << 10, 30)]
        {
            assert_eq!(pause(kib << 10), Duration::from_secs(seconds), "{kib} KiB");
        }
    }

    #[tokio::test]
    async fn what_is_written_is_known_after_a_restart_and_rubbish_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outcomes");
        let keeper = open(&path);
        assert_eq!(keeper.size(), (0, 0));
        write(&keeper, &path).await;
        assert!(!path.exists(), "nothing happened, nothing is written");
        std::fs::write(&path, "rubbish").unwrap();
        assert_eq!(open(&path).size(), (0, 0));
    }
}
