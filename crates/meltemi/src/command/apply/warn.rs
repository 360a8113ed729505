//! Warnings of an apply: hosts, subsets and objects that are referred to, but neither applied nor there.

use std::collections::BTreeSet;

use meltemi_api::{Kind, Parsed, Resource, Target, dangling, references};

use crate::client::{Client, JSON};
use crate::exit::Failure;
use crate::output;
use crate::resource::Resources;

/// Tells what dangles.
pub(super) async fn tell(
    client: &mut Client,
    resources: &Resources,
    objects: &[Parsed],
) -> Result<(), Failure> {
    let kinds = wanted(objects);
    let mut there = Vec::new();
    for kind in kinds {
        // What the server does not serve is not there.
        let Ok(resource) = resources.of_object(&kind.api_version(), kind.kind()) else { continue };
        let list = client.get(&resource.path(None, None), JSON).await?;
        there.extend(read(kind, &list));
    }
    let is_there = |target: &Target| there.iter().any(|resource| target.is_met_by(resource));
    for finding in dangling(objects, |reference| is_there(&reference.target)) {
        output::complain(&finding.to_string());
    }
    Ok(())
}

/// The kinds among which those are that the input refers to.
fn wanted(objects: &[Parsed]) -> BTreeSet<Kind> {
    let references = objects.iter().flat_map(|object| references(&object.resource));
    references.flat_map(|reference| reference.target.kinds()).collect()
}

/// The objects of a list; what this binary cannot read is passed over.
fn read(kind: Kind, list: &serde_json::Value) -> Vec<Resource> {
    let items = list["items"].as_array().into_iter().flatten();
    let whole = items.map(|item| {
        let mut item = item.clone();
        // Items of a list need not say what they are.
        item["kind"] = kind.kind().into();
        item["apiVersion"] = kind.api_version().into();
        item
    });
    whole.filter_map(|item| Resource::from_value(item).ok()).collect()
}
