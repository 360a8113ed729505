//! From a request to the verb: what every request passes, and which function answers it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::access_token;
use crate::audited::{Asked, Notes};
use crate::auth::{ClientCertificate, Principal, credentials};
use crate::authorize::{Ask, What, authorize};
use crate::caller::Caller;
use crate::patch::PatchType;
use crate::query::Parameters;
use crate::shape::Shape;
use crate::state::ApiState;
use crate::status::{Failure, Refusal};
use crate::target::Target;
use crate::{
    delete, discovery, impersonation, openapi, protobuf, read, rejected, review, watch, write,
};

/// The largest body that is taken in, in bytes; as large as Kubernetes' own limit.
pub const BODY_LIMIT: usize = 3 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Paths of which those who answer judge what the caller may see.
const JUDGED_BY_NAMESPACE: [&str; 1] = ["/meltemi/v1/outcomes"];
/// Paths that are answered without a token.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/livez", "/version", "/version/"];

/// What keeps a browser from making more of an answer than data: it guesses no other type, shows it in no frame of any page
/// (RFC 7034; CSP level 3, section 6.4.2), and runs nothing in it. There is no header of CORS, so that pages of other
/// sites read nothing.
const FOR_BROWSERS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// All routes of the Kubernetes-shaped API, behind the host and token checks. It has no fallback, so that other
/// routers can be merged with it; [`guard`] puts theirs behind the same checks.
pub fn router(state: ApiState) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthy))
        .route("/livez", get(healthy))
        .route("/readyz", get(ready))
        .route("/version", get(discovery::version))
        // Clients that were made from Kubernetes' OpenAPI document ask for these with a slash at the end.
        .route("/version/", get(discovery::version))
        .route("/api/", get(discovery::core_versions))
        .route("/api/v1/", get(discovery::core_resources))
        .route("/apis/", get(discovery::groups))
        .route("/apis/{group}/", get(discovery::group))
        .route("/apis/{group}/{version}/", get(discovery::group_resources))
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
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(review::access))
        .route("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", post(review::rules))
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(review::subject))
        .route("/meltemi/v1/rejected", get(rejected::list))
        .route("/meltemi/v1/tokens", post(review::token))
        .with_state(state.clone());
    guard(routes, state)
}

/// Puts routes behind the API's checks: a host name of ours, who asks, and, for paths that are no objects, whether that
/// one may. The caller's [`Principal`] is in the request's extensions after that, and the
/// [`Changes`](meltemi_audit::Changes) that the audit log tells of.
pub fn guard(routes: Router, state: ApiState) -> Router {
    routes.layer(from_fn_with_state(state, check)).layer(map_response(harden))
}

async fn harden(mut response: Response) -> Response {
    response.headers_mut().extend(FOR_BROWSERS);
    response
}

async fn check(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(failure) = state.hosts.check(&parts) {
        return failure.into_response();
    }
    let asked = Asked::new(&parts);
    if let Err(failure) = impersonation::refuse(&parts.headers) {
        tell(&state, asked, None, failure.code, &failure.message);
        return failure.into_response();
    }
    if OPEN.contains(&parts.uri.path()) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let principal = match gate(&state, &parts).await {
        Ok(principal) => principal,
        Err((principal, failure)) => {
            tell(&state, asked, principal.as_ref(), failure.code, &failure.message);
            return failure.into_response();
        }
    };
    parts.extensions.insert(principal.clone());
    parts.extensions.insert(asked.notes.clone());
    // For routes of others, which change what is in no store.
    parts.extensions.insert(asked.notes.changes.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let refusal = response.extensions().get::<Refusal>();
    let message = refusal.map(|refusal| refusal.0.clone()).unwrap_or_default();
    tell(&state, asked, Some(&principal), response.status(), &message);
    response
}

fn tell(
    state: &ApiState,
    asked: Asked,
    caller: Option<&Principal>,
    code: StatusCode,
    message: &str,
) {
    if let Some(event) = asked.event(caller, code, message) {
        match caller {
            Some(_) => state.audit.record(&event),
            None => state.audit.record_stranger(event),
        }
    }
}

/// Who asks, if it may ask for this path. Paths of objects are judged by those who read them, so that what is judged
/// is what is answered.
async fn gate(state: &ApiState, parts: &Parts) -> Result<Principal, (Option<Principal>, Failure)> {
    let principal = identify(state, parts).await.map_err(|failure| (None, failure))?;
    let path = parts.uri.path();
    if is_object_path(path) || JUDGED_BY_NAMESPACE.contains(&path) {
        return Ok(principal);
    }
    let verb = parts.method.as_str().to_ascii_lowercase();
    let verb = if verb == "head" { "get" } else { &verb };
    let ask = Ask { verb, what: What::Path(path) };
    match authorize(&*state.store, &principal, &ask).await {
        Ok(()) => Ok(principal),
        Err(failure) => Err((Some(principal), failure)),
    }
}

/// An access token, else a certificate, else what the state's own gate takes.
async fn identify(state: &ApiState, parts: &Parts) -> Result<Principal, Failure> {
    match credentials(&parts.headers) {
        Some(given) if access_token::is_one(&given.secret) => {
            access_token::verify(&*state.store, &given.secret).await
        }
        None if let Some(certificate) = parts.extensions.get::<ClientCertificate>() => {
            Ok(certificate.principal())
        }
        _ => state.auth.authenticate(parts),
    }
}

/// Whether `core` or `named_group` answers.
fn is_object_path(path: &str) -> bool {
    path.starts_with("/api/v1/")
        || path.strip_prefix("/apis/").is_some_and(|rest| {
            let mut parts = rest.splitn(3, '/');
            let reviews = ["authorization.k8s.io", "authentication.k8s.io"];
            parts.next().is_some_and(|group| !reviews.contains(&group)) && parts.count() == 2
        })
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
    Extension(principal): Extension<Principal>,
    Extension(notes): Extension<Notes>,
    Path(rest): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let caller = Caller::new(&state, principal, &notes);
    if let Some((namespace, name)) = review::token_of(&rest) {
        if request.method() != Method::POST {
            return Err(Failure::method_not_allowed(request.method()));
        }
        let asked = body(request).await?;
        return review::service_account_token(&caller, &notes, namespace, name, asked).await;
    }
    serve(&state, &caller, &notes, Target::parse("", "v1", &rest)?, request).await
}

async fn named_group(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Extension(notes): Extension<Notes>,
    Path((group, version, rest)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let caller = Caller::new(&state, principal, &notes);
    serve(&state, &caller, &notes, Target::parse(&group, &version, &rest)?, request).await
}

/// Kubernetes' verb for a request; `None` where the method has no meaning for what is asked.
fn verb(method: &Method, target: &Target, parameters: &Parameters) -> Option<&'static str> {
    Some(match (method, &target.name) {
        (&Method::GET | &Method::HEAD, Some(_)) => "get",
        (&Method::GET, None) if parameters.is_watch() => "watch",
        (&Method::GET | &Method::HEAD, None) => "list",
        (&Method::POST, None) => "create",
        (&Method::PUT, Some(_)) => "update",
        (&Method::PATCH, Some(_)) => "patch",
        (&Method::DELETE, Some(_)) if !target.status => "delete",
        (&Method::DELETE, None) => "deletecollection",
        _ => return None,
    })
}

/// Answers a request for a resource, if its caller may make it.
async fn serve(
    state: &ApiState,
    caller: &Caller,
    notes: &Notes,
    target: Target,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let parameters = Parameters::parse(&parts.uri)?;
    let Some(verb) = verb(&parts.method, &target, &parameters) else {
        return Err(Failure::method_not_allowed(&parts.method));
    };
    notes.about(verb, target.object_ref());
    caller.authorize(verb, &target).await?;
    answer(state, caller, notes, target, parameters, parts, body).await
}

async fn answer(
    state: &ApiState,
    caller: &Caller,
    notes: &Notes,
    target: Target,
    parameters: Parameters,
    parts: Parts,
    body: Body,
) -> Result<Response, Failure> {
    let store = &*caller.store;
    let name = target.name.clone();
    match (&parts.method, name.as_deref()) {
        (&Method::GET | &Method::HEAD, Some(name)) => {
            read::get(store, &target, name, &parameters, Shape::wanted(&parts.headers)?).await
        }
        (&Method::GET, None) if parameters.is_watch() => {
            let (shape, closing) = (Shape::wanted(&parts.headers)?, state.closing.clone());
            watch::serve(caller, target, parameters, shape, closing).await
        }
        (&Method::GET | &Method::HEAD, None) => {
            read::list(store, &target, &parameters, Shape::wanted(&parts.headers)?).await
        }
        (&Method::POST, None) => {
            let value = object(&parts.headers, body).await?;
            if let Some(name) = value["metadata"]["name"].as_str() {
                notes.named(name);
            }
            write::create(caller, &target, &parameters, value).await
        }
        (&Method::PUT, Some(name)) => {
            let value = object(&parts.headers, body).await?;
            write::replace(caller, &target, name, &parameters, value).await
        }
        (&Method::PATCH, Some(name)) => {
            let kind = PatchType::of(content_type(&parts.headers), &target.key(name))?;
            let patch = document(&take(&parts.headers, body).await?)?;
            if kind == PatchType::Apply && store.get(&target.key(name)).await?.is_none() {
                caller.authorize("create", &target).await?;
            }
            write::patch(caller, &target, name, &parameters, kind, patch).await
        }
        (&Method::DELETE, Some(name)) => {
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

/// The body of a request as one document.
pub(crate) async fn body(request: Request) -> Result<Value, Failure> {
    let (parts, body) = request.into_parts();
    object(&parts.headers, body).await
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
