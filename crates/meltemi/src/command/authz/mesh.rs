//! The mesh of whose workloads a call is judged.

use std::sync::Arc;

use meltemi_api::Kind;
use meltemi_model::{Settings, Snapshot, Workload};
use serde_json::Value;

use super::asked::Target;
use crate::client::{Client, JSON};
use crate::connection::Words;
use crate::exit::Failure;
use crate::model;
use crate::resource::Resources;

/// The kinds that say which workloads there are, what arrives for them, and who may do what with them.
const KINDS: [Kind; 4] =
    [Kind::Service, Kind::ServiceEntry, Kind::WorkloadEntry, Kind::AuthorizationPolicy];

/// A mesh, and the names of its workloads.
pub(super) struct Mesh {
    snapshot: Arc<Snapshot>,
    /// Namespace and name.
    workloads: Vec<(String, String)>,
}

impl Mesh {
    /// Asks the control plane for the objects.
    pub(super) async fn fetch(client: &mut Client, words: &Words) -> Result<Mesh, Failure> {
        let resources = Resources::fetch(client).await?;
        let mut objects: Vec<(Kind, Value)> = Vec::new();
        for kind in KINDS {
            let resource = resources.of_object(&kind.api_version(), kind.kind())?;
            let list = client.get(&resource.path(None, None), JSON).await?;
            for item in list["items"].as_array().into_iter().flatten() {
                let mut item = item.clone();
                item["kind"] = kind.kind().into();
                item["apiVersion"] = kind.api_version().into();
                objects.push((kind, item));
            }
        }
        let entries = objects.iter().filter(|(kind, _)| *kind == Kind::WorkloadEntry);
        let name = |item: &Value, part: &str| {
            item["metadata"][part].as_str().unwrap_or_default().to_owned()
        };
        let workloads = entries.map(|(_, item)| (name(item, "namespace"), name(item, "name")));
        let workloads = workloads.collect();
        let settings = Settings {
            trust_domain_aliases: words.trust_domain_aliases.clone(),
            extension_providers: words.extension_providers.clone(),
            ..Settings::new(words.trust_domain.clone(), &words.domain_suffix)
        };
        let snapshot = model::of(objects.iter().map(|(kind, item)| (*kind, item)), settings);
        Ok(Mesh { snapshot, workloads })
    }

    /// The workloads that are meant; `own` is the namespace of a name alone.
    pub(super) fn workloads(
        &self,
        target: &Target,
        own: &str,
    ) -> Result<Vec<Arc<Workload>>, Failure> {
        if let Target::Workload(namespace, name) = target {
            let workload = self.snapshot.workload(namespace, name).cloned();
            let missing = || Failure::Failed(format!("there is no workload {namespace}/{name}"));
            return workload.map(|it| vec![it]).ok_or_else(missing);
        }
        let all = self.workloads.iter();
        let found = all.filter_map(|(namespace, name)| self.snapshot.workload(namespace, name));
        let serves = |it: &&Arc<Workload>| it.inbound.iter().any(|port| target.is_for(port, own));
        let meant: Vec<Arc<Workload>> = found.filter(serves).cloned().collect();
        match meant.is_empty() {
            true => Err(Failure::Failed(format!(
                "no workload of the mesh stands for that service (a name alone is one of namespace {own}): see `meltemi describe services`"
            ))),
            false => Ok(meant),
        }
    }
}
