//! The model that the control plane makes of objects, made here of the same objects by the same code.

use std::sync::Arc;

use meltemi_api::Kind;
use meltemi_model::{Model, Object, Settings, Snapshot, read};
use serde_json::Value;

/// The mesh of these objects; those of kinds without an effect on it are passed over.
pub fn of<'v>(
    objects: impl IntoIterator<Item = (Kind, &'v Value)>,
    settings: Settings,
) -> Arc<Snapshot> {
    let mut changes = Vec::new();
    for (kind, value) in objects {
        let Some(of_model) = read::kind(kind.group(), kind.plural()) else { continue };
        let text = |name: &str| value["metadata"][name].as_str().unwrap_or_default();
        let object = Object::new(of_model, text("namespace"), text("name"));
        changes.push(read::change(object, value, &settings));
    }
    Model::new(settings).apply(1, changes).0
}
