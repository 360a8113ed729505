//! What bytes of clients go through, for the fuzz targets in `fuzz/`.

use http::{HeaderMap, HeaderValue, Uri, header};
use meltemi_store::Key;
use serde_json::{Value, json};

use crate::auth;
use crate::host::Hosts;
use crate::patch::{PatchType, patched};
use crate::protobuf;
use crate::query::Parameters;
use crate::target::Target;

/// How long an object may become by a patch, bytes of JSON for each byte of the patch; and what a patch may copy beside that.
const GROWTH: usize = 8;
const COPIED: usize = 4 << 20;

/// A body in Kubernetes' protobuf form: what is read is an object with its type, as in JSON.
pub fn protobuf(bytes: &[u8]) {
    if let Ok(object) = protobuf::read(bytes) {
        assert!(object["kind"].is_string() && object["apiVersion"].is_string(), "{object}");
        assert!(serde_json::to_vec(&object).is_ok(), "it can be written as JSON");
    }
}

/// A request's line, host and credentials, a line each: what is found is named by parts of what was asked.
pub fn api_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let (target, host) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(uri) = target.parse::<Uri>() else { return };
    if let Ok(parameters) = Parameters::parse(&uri) {
        let (limit, timeout) = (parameters.limit(), parameters.timeout());
        drop((limit, timeout, parameters.from(), parameters.exact(), parameters.dry_run()));
        if let Ok(matcher) = parameters.matcher() {
            let _ = matcher.matches(&service());
        }
    }
    let parts: Vec<&str> = uri.path().splitn(5, '/').collect();
    let found = match parts[..] {
        ["", "api", version, ..] => {
            let rest = uri.path().splitn(4, '/').nth(3).unwrap_or_default();
            Target::parse("", version, rest)
        }
        ["", "apis", group, version, rest] => Target::parse(group, version, rest),
        _ => return,
    };
    if let Ok(found) = found {
        let names = [&found.namespace, &found.name].into_iter().flatten();
        names.for_each(|name| assert!(!name.is_empty() && !name.contains('/'), "{name:?}"));
        assert!(found.kind.versions().contains(&found.version));
        assert!(found.namespace.is_none() || found.kind.namespaced());
    }
    let mut request = http::Request::new(()).into_parts().0;
    if let Ok(host) = HeaderValue::from_str(host) {
        request.headers.insert(header::HOST, host);
    }
    if Hosts::new(["mesh.example.com"]).check(&request).is_ok() {
        let host = host.to_ascii_lowercase();
        let ours = ["localhost", "127.", "::1", "::ffff:", "mesh.example.com", "0:", "::"];
        assert!(ours.iter().any(|it| host.contains(it)), "{host:?} is foreign");
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(lines.next().unwrap_or_default()) {
        headers.insert(header::AUTHORIZATION, value);
        drop(auth::credentials(&headers));
    }
}

/// A patch, behind a byte that says of which kind: the object does not grow beyond measure, and can be read again; a merge that
/// is made twice is made once.
pub fn patch(bytes: &[u8]) {
    let [kind, bytes @ ..] = bytes else { return };
    let kind = match kind % 3 {
        0 => PatchType::Merge,
        1 => PatchType::Json,
        _ => PatchType::Strategic,
    };
    let Ok(patch) = serde_json::from_slice::<Value>(bytes) else { return };
    let key = Key::new("", "services", Some("default"), "hello");
    let Ok(object) = patched(kind, &key, &service(), &patch) else { return };
    let written = object.to_string();
    assert!(written.len() <= COPIED + GROWTH * bytes.len(), "{} bytes", written.len());
    assert_eq!(serde_json::from_str::<Value>(&written).ok(), Some(object.clone()));
    if kind == PatchType::Merge {
        assert_eq!(patched(kind, &key, &object, &patch).ok(), Some(object));
    }
}

/// An object that is selected and changed.
fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hello", "namespace": "default", "labels": {"app": "hello"}},
        "spec": {
            "ports": [{"name": "http", "port": 80}, {"name": "grpc", "port": 90}],
            "selector": {"app": "hello"},
        },
    })
}
