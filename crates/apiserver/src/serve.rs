//! From a request to the verb: what every request passes, and which function answers it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::patch::PatchType;
use crate::query::Parameters;
use crate::shape::Shape;
use crate::state::ApiState;
use crate::status::Failure;
use crate::target::Target;
use crate::{delete, discovery, openapi, protobuf, read, rejected, watch, write};

/// The largest body that is taken in, in bytes; as large as Kubernetes' own limit.
pub const BODY_LIMIT: usize = 3 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Paths that are answered without a token.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/livez", "/version"];

/// All routes of the Kubernetes-shaped API, behind the host and token checks. It has no fallback, so that other
/// routers can be merged with it; [`guard`] puts theirs behind the same checks.
pub fn router(state: ApiState) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthy))
        .route("/livez", get(healthy))
        .route("/readyz", get(ready))
        .route("/version", get(discovery::version))
        .route("/openapi/v2", get(openapi::v2))
        .route("/openapi/v3", get(openapi::v3_index))
        .route("/openapi/v3/{*group_version}", get(openapi::v3))
        .route("/api", get(discovery::core_versions))
        .route("/api/v1", get(discovery::core_resources))
        .route("/api/v1/{*rest}", any(core))
        .route("/apis", get(discovery::groups))
        .route("/apis/{group}", get(discovery::group))
        .route("/apis/{group}/{version}", get(discovery::group_resources))
        .route("/apis/{group}/{version}/{*rest}", any(named_group))
        .route("/meltemi/v1/rejected", get(rejected::list))
        .with_state(state.clone());
    guard(routes, state)
}

/// Puts routes behind the API's checks: a host name of ours, and who asks. The caller's
/// [`Principal`](crate::Principal) is in the request's extensions after that.
pub fn guard(routes: Router, state: ApiState) -> Router {
    routes.layer(from_fn_with_state(state, check))
}

async fn check(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    state.hosts.check(&parts)?;
    if !OPEN.contains(&parts.uri.path()) {
        let principal = state.auth.authenticate(&parts)?;
        parts.extensions.insert(principal);
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn healthy() -> &'static str {
    "ok"
}

/// Ready as soon as the store answers.
async fn ready(State(state): State<ApiState>) -> Result<&'static str, Failure> {
    state.store.get(&write::namespace_key(meltemi_names::DEFAULT_NAMESPACE)).await?;
    Ok("ok")
}

async fn core(
    State(state): State<ApiState>,
    Path(rest): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    serve(state, Target::parse("", "v1", &rest)?, request).await
}

async fn named_group(
    State(state): State<ApiState>,
    Path((group, version, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    serve(state, Target::parse(&group, &version, &rest)?, request).await
}

/// Answers a request for a resource.
async fn serve(state: ApiState, target: Target, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let parameters = Parameters::parse(&parts.uri)?;
    let store = &*state.store;
    let name = target.name.clone();
    match (&parts.method, name.as_deref()) {
        (&Method::GET | &Method::HEAD, Some(name)) => {
            read::get(store, &target, name, &parameters, Shape::wanted(&parts.headers)?).await
        }
        (&Method::GET, None) if parameters.is_watch() => {
            let shape = Shape::wanted(&parts.headers)?;
            watch::serve(state.store, target, parameters, shape, state.closing).await
        }
        (&Method::GET | &Method::HEAD, None) => {
            read::list(store, &target, &parameters, Shape::wanted(&parts.headers)?).await
        }
        (&Method::POST, None) => {
            let value = object(&parts.headers, body).await?;
            write::create(store, &target, &parameters, value).await
        }
        (&Method::PUT, Some(name)) => {
            let value = object(&parts.headers, body).await?;
            write::replace(store, &target, name, &parameters, value).await
        }
        (&Method::PATCH, Some(name)) => {
            let kind = PatchType::of(content_type(&parts.headers), &target.key(name))?;
            let patch = document(&take(&parts.headers, body).await?)?;
            write::patch(store, &target, name, &parameters, kind, patch).await
        }
        (&Method::DELETE, Some(name)) if !target.status => {
            let options = delete::Options::parse(&take(&parts.headers, body).await?)?;
            delete::one(store, &target, name, &parameters, &options).await
        }
        (&Method::DELETE, None) => {
            let options = delete::Options::parse(&take(&parts.headers, body).await?)?;
            delete::collection(store, &target, &parameters, &options).await
        }
        (method, _) => Err(Failure::method_not_allowed(method)),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The body of a request that creates or replaces.
async fn object(headers: &HeaderMap, body: Body) -> Result<Value, Failure> {
    let essence = content_type(headers).split(';').next().unwrap_or_default().trim();
    match essence {
        "" | "application/json" | "application/yaml" => document(&take(headers, body).await?),
        protobuf::CONTENT_TYPE => {
            protobuf::read(&take(headers, body).await?).map_err(Failure::bad_request)
        }
        _ => {
            Err(Failure::unsupported_media_type(essence, &["application/json", "application/yaml"]))
        }
    }
}

/// The body, if it is not too large and comes in time.
async fn take(headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_LIMIT) {
        return Err(Failure::too_large(BODY_LIMIT));
    }
    match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_LIMIT)).await {
        Err(_) => Err(Failure::too_slow()),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let is_limit = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            Err(if is_limit {
                Failure::too_large(BODY_LIMIT)
            } else {
                Failure::bad_request("the request's body broke off")
            })
        }
    }
}

/// One object in JSON, or else in YAML.
fn document(bytes: &[u8]) -> Result<Value, Failure> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if bytes.trim_ascii_start().starts_with(b"{") => {
            Err(Failure::bad_request(format!("the body is not JSON: {error}")))
        }
        Err(_) => yaml(bytes),
    }
}

fn yaml(bytes: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::bad_request("the body is neither JSON nor UTF-8 text"))?;
    meltemi_api::parse::value(text).map_err(|findings| {
        let told: Vec<_> =
            findings.iter().map(|it| format!("line {}: {}", it.line, it.reason())).collect();
        Failure::bad_request(format!("the body is neither JSON nor YAML: {}", told.join("; ")))
    })
}
