//! What the audit log is told of a request: who asked for what from where, and what it has changed.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{Method, StatusCode};
use meltemi_audit::{Changes, Event, ObjectRef, User};

use parking_lot::Mutex;

use crate::auth::Principal;

/// Letters that a name has at most (RFC 1123 subdomain); what is longer is refused, and need not fill the log.
const LONGEST_NAME: usize = 253;

/// Notes of one request, shared by its gate and its handler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) changes: Changes,
    about: Arc<Mutex<Option<(String, ObjectRef)>>>,
}

impl Notes {
    /// Says what the request is about.
    pub(crate) fn about(&self, verb: &str, object: ObjectRef) {
        *self.about.lock() = Some((verb.to_owned(), object));
    }

    /// Says what the object is called that is to be made: it stands in the body alone. As in Kubernetes (`audit.LogRequestObject`).
    pub(crate) fn named(&self, name: &str) {
        if let Some((_, object)) = &mut *self.about.lock() {
            object.name = name.chars().take(LONGEST_NAME).collect();
        }
    }
}

/// What is known of a request before it is answered.
pub(crate) struct Asked {
    method: Method,
    uri: String,
    source: Option<SocketAddr>,
    pub(crate) notes: Notes,
}

impl Asked {
    pub(crate) fn new(parts: &Parts) -> Self {
        Asked {
            method: parts.method.clone(),
            uri: parts.uri.path().to_owned(),
            source: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|it| it.0),
            notes: Notes::default(),
        }
    }

    /// The event, unless it is none: the administrator of this machine who reads.
    pub(crate) fn event(
        self,
        caller: Option<&Principal>,
        code: StatusCode,
        message: &str,
    ) -> Option<Event> {
        let is_refused = matches!(code, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        let is_local = caller.is_none_or(Principal::is_local);
        if is_read && is_local && !is_refused {
            return None;
        }
        let about = self.notes.about.lock().take();
        let (verb, mut object) = match about {
            Some((verb, object)) => (verb, Some(object)),
            None => (self.method.as_str().to_ascii_lowercase(), None),
        };
        let changes = self.notes.changes.take();
        // A name that was generated (`metadata.generateName`) is known when the object is made.
        if let (Some(object), "create", [made]) = (&mut object, &*verb, &*changes)
            && object.name.is_empty()
        {
            object.name.clone_from(&made.object.name);
        }
        Some(Event {
            verb,
            uri: self.uri,
            user: caller.map_or_else(anonymous, Principal::user),
            source: self.source.map(|address| address.ip()),
            object,
            code: code.as_u16(),
            message: message.to_owned(),
            changes,
        })
    }
}

/// Who has shown nothing, or something wrong; the name is Kubernetes'.
fn anonymous() -> User {
    User { username: "system:anonymous".to_owned(), ..User::default() }
}
