//! All configuration, as an analysis looks at it.

use std::collections::BTreeMap;

use meltemi_api::{Kind, Resource};
use serde_json::Value;

use crate::client::{Client, JSON};
use crate::exit::Failure;
use crate::rejected::Rejected;
use crate::resource::Resources;

/// The labels that somebody has, or wants.
pub(super) type Labels = BTreeMap<String, String>;

/// An object.
#[derive(Debug)]
pub(super) struct Object {
    /// By its type.
    pub(super) resource: Resource,
    /// As it is stored.
    pub(super) value: Value,
}

/// All configuration.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    objects: BTreeMap<Kind, Vec<Object>>,
    /// What the control plane says that it cannot use, and what cannot be read here.
    pub(super) rejected: Vec<Rejected>,
}

impl Mesh {
    /// Asks the control plane for all of it.
    pub(super) async fn fetch(client: &mut Client, resources: &Resources) -> Result<Mesh, Failure> {
        let mut mesh = Mesh::default();
        let mut lists = Vec::new();
        for kind in Kind::all() {
            // What the server does not serve is not there.
            let Ok(resource) = resources.of_object(&kind.api_version(), kind.kind()) else {
                continue;
            };
            let list = client.get(&resource.path(None, None), JSON).await?;
            for item in list["items"].as_array().into_iter().flatten() {
                mesh.add(*kind, item.clone());
            }
            lists.push(list);
        }
        let seen: Vec<&Value> = lists.iter().collect();
        mesh.rejected.extend(Rejected::fetch(client, &seen).await?.unwrap_or_default());
        Ok(mesh)
    }

    /// Adds an object; items of a list need not say what they are.
    pub(super) fn add(&mut self, kind: Kind, mut value: Value) {
        value["kind"] = kind.kind().into();
        value["apiVersion"] = kind.api_version().into();
        match Resource::from_value(value.clone()) {
            Ok(resource) => {
                self.objects.entry(kind).or_default().push(Object { resource, value });
            }
            Err(findings) => {
                let text = |name: &str| value["metadata"][name].as_str().unwrap_or_default();
                let reasons: Vec<String> = findings
                    .iter()
                    .filter(|finding| finding.is_error())
                    .map(|finding| format!("{}: {}", finding.path, finding.reason()))
                    .collect();
                self.rejected.push(Rejected {
                    kind: kind.to_string(),
                    namespace: text("namespace").to_owned(),
                    name: text("name").to_owned(),
                    reason: reasons.join("; "),
                });
            }
        }
    }

    /// The objects of a kind.
    pub(super) fn of(&self, kind: Kind) -> &[Object] {
        self.objects.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// All objects, by kind.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().flatten()
    }

    /// The workloads: the namespace of each, and its labels, of which the spec's go before the metadata's.
    pub(super) fn workloads(&self) -> impl Iterator<Item = (&str, Labels)> {
        self.of(Kind::WorkloadEntry).iter().filter_map(|object| {
            let Resource::WorkloadEntry(entry) = &object.resource else { return None };
            let mut labels = entry.metadata.labels.clone();
            labels.extend(entry.spec.labels.clone());
            Some((entry.metadata.namespace.as_str(), labels))
        })
    }

    /// How many objects were looked at.
    pub(super) fn len(&self) -> usize {
        self.objects().count()
    }
}

/// Whether somebody with these labels has those that are wanted.
pub(super) fn has(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// `KEY=VALUE,...`
pub(super) fn list(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    all.join(",")
}
