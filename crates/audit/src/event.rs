//! One event, and the line that it becomes (Kubernetes' `Event v1 audit.k8s.io`).

use std::net::IpAddr;
use std::time::SystemTime;

use meltemi_store::Key;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::difference::Difference;
use crate::timestamp;

/// Who did it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name under which it acts.
    pub username: String,
    /// The groups that count for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// By what it is known: `token NAME`, `certificate ID`, `local token`.
    #[serde(skip)]
    pub credential: String,
}

/// The object that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The plural word of the kind.
    pub resource: String,
    /// The group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// The namespace; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name; empty where all of a kind are meant.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A part of the object, as in `status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

impl From<&Key> for ObjectRef {
    fn from(key: &Key) -> Self {
        ObjectRef {
            resource: key.plural().to_owned(),
            api_group: key.group().to_owned(),
            namespace: key.namespace.clone().unwrap_or_default(),
            name: key.name.clone(),
            subresource: String::new(),
        }
    }
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// `create`, `update` or `delete`.
    pub verb: &'static str,
    /// Field by field; secrets' values are left out.
    pub difference: Vec<Difference>,
}

/// Something that was done or refused.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// Kubernetes' verb, as in `get` and `patch`, or `sign` for a certificate.
    pub verb: String,
    /// The path that was asked, its query left out.
    pub uri: String,
    /// Who asked.
    pub user: User,
    /// From where.
    pub source: Option<IpAddr>,
    /// What it was about.
    pub object: Option<ObjectRef>,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Why it was refused, or what else is to be told.
    pub message: String,
    /// What has changed.
    pub changes: Vec<Change>,
}

impl Event {
    /// The event as one line of JSON, without the line's end.
    pub(crate) fn line(&self, id: &str, now: SystemTime) -> String {
        let is_allowed = !matches!(self.code, 401 | 403);
        let mut annotations = Map::new();
        let decision = if is_allowed { "allow" } else { "forbid" };
        annotations.insert("authorization.k8s.io/decision".into(), decision.into());
        if !self.user.credential.is_empty() {
            let credential = self.user.credential.clone();
            annotations.insert("meltemi.io/credential".into(), credential.into());
        }
        if !self.changes.is_empty() {
            annotations.insert("meltemi.io/changes".into(), json!(self.changes));
        }
        let mut status = json!({"code": self.code});
        if !self.message.is_empty() {
            status["message"] = json!(self.message);
        }
        let mut line = json!({
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": id,
            "stage": "ResponseComplete",
            "stageTimestamp": timestamp::format_micros(now),
            "requestURI": self.uri,
            "verb": self.verb,
            "user": self.user,
            "responseStatus": status,
            "annotations": Value::Object(annotations),
        });
        if let Some(source) = self.source {
            line["sourceIPs"] = json!([source]);
        }
        if let Some(object) = &self.object {
            line["objectRef"] = json!(object);
        }
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn an_event_is_one_line_as_kubernetes_writes_it() {
        let key = Key::new("networking.istio.io", "virtualservices", Some("shop"), "web");
        let change = Change {
            object: (&key).into(),
            verb: "update",
            difference: vec![Difference {
                path: "/spec/hosts/0".into(),
                from: Some("a\nb".into()),
                to: Some("c".into()),
            }],
        };
        let event = Event {
            verb: "patch".into(),
            uri: "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/web".into(),
            user: User {
                username: "alice".into(),
                groups: vec!["ops".into()],
                credential: "token laptop".into(),
            },
            source: Some("192.0.2.7".parse().unwrap()),
            object: Some((&key).into()),
            code: 200,
            message: String::new(),
            changes: vec![change],
        };
        let at = UNIX_EPOCH + Duration::new(1_795_000_000, 5_000);
        let line = event.line("id", at);
        assert!(!line.contains('\n'));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["user"], json!({"username": "alice", "groups": ["ops"]}));
        assert_eq!(read["objectRef"]["apiGroup"], "networking.istio.io");
        assert_eq!(read["stageTimestamp"], "2026-11-18T11:06:40.000005Z");
        assert_eq!(read["annotations"]["meltemi.io/credential"], "token laptop");
        let difference = &read["annotations"]["meltemi.io/changes"][0]["difference"][0];
        assert_eq!(difference, &json!({"path": "/spec/hosts/0", "from": "a\nb", "to": "c"}));
    }

    #[test]
    fn a_refusal_says_so() {
        let event = Event { code: 403, message: "no".into(), ..Event::default() };
        let read: Value = serde_json::from_str(&event.line("id", UNIX_EPOCH)).unwrap();
        assert_eq!(read["annotations"]["authorization.k8s.io/decision"], "forbid");
        assert_eq!(read["responseStatus"], json!({"code": 403, "message": "no"}));
        assert!(read.get("sourceIPs").is_none() && read.get("objectRef").is_none());
    }
}
