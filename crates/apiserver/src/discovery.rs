//! The documents by which clients learn what there is: groups, versions, kinds.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use meltemi_api::Kind;
use serde_json::{Value, json};

use crate::status::Failure;
use crate::write::has_status;

/// What can be done with an object, and with its status.
const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];
/// The Kubernetes version whose API is served: clients compare it with their own.
const KUBERNETES: (&str, &str) = ("1", "32");

/// `GET /version`.
pub(crate) async fn version() -> Json<Value> {
    let (major, minor) = KUBERNETES;
    Json(json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0+meltemi-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}

/// `GET /api`.
pub(crate) async fn core_versions() -> Json<Value> {
    Json(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
}

/// `GET /apis`.
pub(crate) async fn groups() -> Json<Value> {
    let groups: Vec<_> =
        served().iter().map(|(name, versions)| group_value(name, versions)).collect();
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `GET /apis/GROUP`.
pub(crate) async fn group(Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let served = served();
    let versions = served.get(name.as_str()).ok_or_else(|| Failure::no_such_path(&name))?;
    let mut value = group_value(&name, versions);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Ok(Json(value))
}

/// `GET /api/v1`.
pub(crate) async fn core_resources() -> Result<Json<Value>, Failure> {
    resources("", "v1").map(Json)
}

/// `GET /apis/GROUP/VERSION`.
pub(crate) async fn group_resources(
    Path((group, version)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    if group.is_empty() {
        return Err(Failure::no_such_path(&version));
    }
    resources(&group, &version).map(Json)
}

/// Groups beside the core one, each with its versions, the preferred first.
fn served() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in Kind::all().iter().filter(|kind| !kind.group().is_empty()) {
        let versions = groups.entry(kind.group()).or_default();
        for version in kind.versions() {
            if !versions.contains(version) {
                versions.push(version);
            }
        }
    }
    for versions in groups.values_mut() {
        versions.sort_by_key(|version| rank(version));
    }
    groups
}

/// Kubernetes' order of versions: stable before beta before alpha, newer before older.
fn rank(version: &str) -> (u8, std::cmp::Reverse<u32>, std::cmp::Reverse<u32>) {
    let number = |text: &str| std::cmp::Reverse(text.parse().unwrap_or(0));
    let rest = version.trim_start_matches('v');
    if let Some((major, minor)) = rest.split_once("beta") {
        return (1, number(major), number(minor));
    }
    match rest.split_once("alpha") {
        Some((major, minor)) => (2, number(major), number(minor)),
        None => (0, number(rest), number("")),
    }
}

fn group_value(name: &str, versions: &[&str]) -> Value {
    let version =
        |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<_> = versions.iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn resources(group: &str, version: &str) -> Result<Value, Failure> {
    let kinds = Kind::all().iter().copied();
    let kinds: Vec<_> =
        kinds.filter(|kind| kind.group() == group && kind.versions().contains(&version)).collect();
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    if kinds.is_empty() {
        return Err(Failure::no_such_path(&group_version));
    }
    let resources: Vec<_> = kinds.into_iter().flat_map(resource).collect();
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

/// A kind, and its status if it has one.
fn resource(kind: Kind) -> Vec<Value> {
    let mut whole = json!({
        "name": kind.plural(),
        "singularName": kind.singular(),
        "namespaced": kind.namespaced(),
        "kind": kind.kind(),
        "verbs": VERBS,
    });
    let categories = categories(kind);
    if !categories.is_empty() {
        whole["categories"] = json!(categories);
    }
    if !kind.short_names().is_empty() {
        whole["shortNames"] = json!(kind.short_names());
    }
    let status = json!({
        "name": format!("{}/status", kind.plural()),
        "singularName": "",
        "namespaced": kind.namespaced(),
        "kind": kind.kind(),
        "verbs": STATUS_VERBS,
    });
    if has_status(kind) { vec![whole, status] } else { vec![whole] }
}

/// The words by which kubectl asks for several kinds at once, as Istio's and the Gateway API's resource definitions and
/// Kubernetes' own kinds have them.
fn categories(kind: Kind) -> &'static [&'static str] {
    match (kind.group(), kind.kind()) {
        ("", "Service") => &["all"],
        ("extensions.istio.io", _) => &["istio-io", "extensions-istio-io"],
        ("networking.istio.io", _) => &["istio-io", "networking-istio-io"],
        ("security.istio.io", _) => &["istio-io", "security-istio-io"],
        ("telemetry.istio.io", _) => &["istio-io", "telemetry-istio-io"],
        ("gateway.networking.k8s.io", _) => &["gateway-api"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["v1alpha3", "v1beta1", "v1", "v2", "v1beta2", "v1alpha2"];
        versions.sort_by_key(|version| rank(version));
        assert_eq!(versions, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "v1alpha2"]);
    }
}
