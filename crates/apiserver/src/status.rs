//! Failures as Kubernetes tells them: a `Status` object with a reason, a code and, for bad fields, their paths.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use meltemi_store::{Key, StoreError};
use serde_json::{Value, json};

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The path of the field, as in `spec.http[0].route[1].weight`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why a request was not done; answered as a `Status` object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The HTTP status.
    pub code: StatusCode,
    /// Kubernetes' word for the reason, on which clients decide.
    pub reason: &'static str,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// The object that it is about.
    pub about: Option<Box<Key>>,
    /// The fields that are wrong.
    pub causes: Vec<Cause>,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), about: None, causes: Vec::new() }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: no token, or not one of ours.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 404 for a path that stands for nothing.
    pub fn no_such_path(path: &str) -> Self {
        let message = format!("the server could not find the requested resource: {path}");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 404 for what is asked about and is not known.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 404 for an object.
    pub fn not_found(key: &Key) -> Self {
        let message = format!("{} {:?} not found", resource(key), key.name);
        Self {
            about: Some(Box::new(key.clone())),
            ..Self::new(StatusCode::NOT_FOUND, "NotFound", message)
        }
    }

    /// 409 for a name that is taken.
    pub fn already_exists(key: &Key) -> Self {
        let message = format!("{} {:?} already exists", resource(key), key.name);
        Self {
            about: Some(Box::new(key.clone())),
            ..Self::new(StatusCode::CONFLICT, "AlreadyExists", message)
        }
    }

    /// 409 for a change that was made to another version than the one that stands.
    pub fn conflict(key: &Key, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {:?}: {why}", resource(key), key.name);
        Self {
            about: Some(Box::new(key.clone())),
            ..Self::new(StatusCode::CONFLICT, "Conflict", message)
        }
    }

    /// 409 for fields that another manager applied, each of them a cause.
    pub(crate) fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self { causes, ..Self::new(StatusCode::CONFLICT, "Conflict", message) }
    }

    /// 422: well-formed, but fields are wrong.
    pub fn invalid(key: &Key, causes: Vec<Cause>) -> Self {
        let told: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let message = format!("{} {:?} is invalid: {}", resource(key), key.name, told.join("; "));
        Self {
            about: Some(Box::new(key.clone())),
            causes,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
        }
    }

    /// 405: the path is right, the verb is not.
    pub fn method_not_allowed(method: &http::Method) -> Self {
        let message = format!("{method} is not supported on this resource");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 406: no form that is asked for is known here.
    pub fn not_acceptable(accept: &str) -> Self {
        let message = format!("none of {accept:?} can be answered: ask for application/json");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "Timeout",
            "the request's body did not arrive in time",
        )
    }

    /// 413: more than the server is willing to hold.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("the request's body is larger than {limit} bytes: split the object");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415: a body of a type that is not understood here.
    pub fn unsupported_media_type(given: &str, known: &[&str]) -> Self {
        let message = format!(
            "the body's content type {given:?} is not understood here: use {}",
            known.join(" or ")
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 410: the client has to list anew.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 504: the version asked for is yet to be reached.
    pub fn not_yet(version: u64) -> Self {
        let message =
            format!("Too large resource version: {version} is not in effect yet: ask again");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// 409 for what is not about one object: it is not its turn yet.
    pub fn not_now(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// 500: what is stored cannot be read.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        let mut details = serde_json::Map::new();
        if let Some(key) = &self.about {
            details.insert("name".to_owned(), json!(key.name));
            details.insert("group".to_owned(), json!(key.group()));
            details.insert("kind".to_owned(), json!(key.plural()));
        }
        if !self.causes.is_empty() {
            let is_conflict = self.code == StatusCode::CONFLICT;
            let reason = if is_conflict { "FieldManagerConflict" } else { "FieldValueInvalid" };
            let cause = |cause: &Cause| json!({"reason": reason, "message": cause.message, "field": cause.field});
            details.insert("causes".to_owned(), self.causes.iter().map(cause).collect());
        }
        if !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        status
    }
}

/// `virtualservices.networking.istio.io`, as Kubernetes names a resource in messages.
fn resource(key: &Key) -> String {
    match key.group() {
        "" => key.plural().to_owned(),
        group => format!("{}.{group}", key.plural()),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::AlreadyExists { key, .. } => Self::already_exists(&key),
            StoreError::NotFound { key } => Self::not_found(&key),
            StoreError::Conflict { key, .. } => Self::conflict(
                &key,
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            StoreError::Expired { .. } => {
                Self::expired(format!("too old resource version: {message}"))
            }
            StoreError::InvalidKey { .. } => Self::bad_request(message),
            StoreError::Owned { key, .. } => {
                Self { about: Some(Box::new(key)), ..Self::forbidden(message) }
            }
            StoreError::Full { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "InternalError", message)
            }
            StoreError::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
            }
            _ => Self::internal(message),
        }
    }
}

/// The message of a failure, kept beside the answer for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json_response(self.code, &self.to_value());
        if self.code == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Refusal(self.message));
        response
    }
}

/// A JSON answer.
pub(crate) fn json_response(code: StatusCode, value: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
