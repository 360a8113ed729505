//! The `ProxyConfig` of a workload, which its proxy asks for when it starts.
//!
//! Who is chosen follows Istio's reference: one for the whole mesh (in the root namespace, without a selector), one for a
//! namespace, one that selects the workload. They are merged field by field, variables one by one; what is nearer to the
//! workload goes before. Of several at one level the oldest counts.

use std::collections::BTreeMap;

use meltemi_store::Entry;
use meltemi_wire::proto::meltemi::v1::ProxyConfig;
use serde::Deserialize;

/// The kind's plural.
pub(super) const PROXY_CONFIGS: &str = "proxyconfigs";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
    spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    selector: Option<Selector>,
    concurrency: Option<u32>,
    environment_variables: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Selector {
    match_labels: Option<BTreeMap<String, String>>,
}

impl Spec {
    /// The labels that it selects by; `None` where it is for all of its namespace.
    fn selector(&self) -> Option<&BTreeMap<String, String>> {
        let labels = self.selector.as_ref()?.match_labels.as_ref()?;
        (!labels.is_empty()).then_some(labels)
    }
}

/// What holds for a workload of a namespace with these labels.
pub(super) fn merge(
    entries: &[Entry],
    root: &str,
    namespace: &str,
    labels: &BTreeMap<&str, &str>,
) -> ProxyConfig {
    let mut all: Vec<_> = entries.iter().filter_map(read).collect();
    all.sort_by(|(a, created, _), (b, then, _)| (created, &a.name).cmp(&(then, &b.name)));
    let is_whole = |spec: &Spec| spec.selector().is_none();
    let is_selecting = |spec: &Spec| {
        let selector = spec.selector();
        selector
            .is_some_and(|it| it.iter().all(|(key, value)| labels.get(&**key) == Some(&&**value)))
    };
    let find = |of: &str, fits: &dyn Fn(&Spec) -> bool| {
        all.iter().find(|(key, _, spec)| key.namespace.as_deref() == Some(of) && fits(spec))
    };
    let mut merged = ProxyConfig::default();
    for (_, _, spec) in
        [find(root, &is_whole), find(namespace, &is_whole), find(namespace, &is_selecting)]
            .into_iter()
            .flatten()
    {
        merged.concurrency = spec.concurrency.or(merged.concurrency);
        merged.environment_variables.extend(spec.environment_variables.clone().unwrap_or_default());
    }
    merged
}

/// An object with its key and age; `None` for one that cannot be read, which is told of.
fn read(entry: &Entry) -> Option<(&meltemi_store::Key, String, Spec)> {
    match serde_json::from_slice::<Object>(&entry.value) {
        Ok(Object { metadata, spec }) => {
            Some((&entry.key, metadata.creation_timestamp, spec.unwrap_or_default()))
        }
        Err(error) => {
            tracing::warn!(config = %entry.key, %error, "a ProxyConfig cannot be used");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use meltemi_store::Key;
    use serde_json::{Value, json};

    use super::*;

    fn entry(namespace: &str, name: &str, created: &str, spec: Value) -> Entry {
        let object = json!({"metadata": {"creationTimestamp": created}, "spec": spec});
        let key = Key::new("networking.istio.io", PROXY_CONFIGS, Some(namespace), name);
        Entry { key, version: 1, created: 1, value: object.to_string().into_bytes().into() }
    }

    fn of(entries: &[Entry], namespace: &str, app: &str) -> (Option<u32>, Vec<String>) {
        let merged = merge(entries, "istio-system", namespace, &BTreeMap::from([("app", app)]));
        let variables: BTreeMap<_, _> = merged.environment_variables.into_iter().collect();
        let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
        (merged.concurrency, variables.collect())
    }

    #[test]
    fn what_is_nearer_to_the_workload_goes_before() {
        let select = |app: &str| json!({"matchLabels": {"app": app}});
        let variables = |a: &str| json!({"A": a});
        let entries = [
            entry(
                "istio-system",
                "mesh",
                "2",
                json!({"concurrency": 1, "environmentVariables": {"A": "mesh", "B": "mesh"}}),
            ),
            entry("shop", "young", "9", json!({"concurrency": 9})),
            entry(
                "shop",
                "all",
                "3",
                json!({"concurrency": 2, "selector": null, "environmentVariables": variables("shop")}),
            ),
            entry(
                "shop",
                "web",
                "4",
                json!({"selector": select("web"), "environmentVariables": variables("web")}),
            ),
            entry("shop", "zero", "4", json!({"selector": select("zero"), "concurrency": 0})),
            entry(
                "istio-system",
                "other",
                "1",
                json!({"selector": select("web"), "concurrency": 7}),
            ),
            entry("team", "empty", "1", json!(null)),
        ];
        let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        for (namespace, app, concurrency, variables) in [
            ("shop", "web", Some(2), texts(&["A=web", "B=mesh"])),
            ("shop", "zero", Some(0), texts(&["A=shop", "B=mesh"])),
            ("shop", "else", Some(2), texts(&["A=shop", "B=mesh"])),
            // A selector in the root namespace is for workloads there alone.
            ("team", "web", Some(1), texts(&["A=mesh", "B=mesh"])),
            ("istio-system", "web", Some(7), texts(&["A=mesh", "B=mesh"])),
        ] {
            assert_eq!(of(&entries, namespace, app), (concurrency, variables), "{namespace} {app}");
        }
        assert_eq!(of(&[], "shop", "web"), (None, Vec::new()));
    }
}
