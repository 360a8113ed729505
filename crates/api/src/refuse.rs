//! What is wrong with an object: first its shape, by its kind's schema, then what the kind itself checks.

mod choices;
mod path;
mod report;
mod shape;
mod suggest;
mod texts;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use choices::{at_most_one, exactly_one};
pub use path::{Path, Step};
pub(crate) use report::{Problem, Report};
pub(crate) use suggest::nearest;
pub(crate) use texts::{check_header_value, check_target_text};

use crate::kind::split_api_version;
use crate::schema::{cached, generate};
use crate::{Kind, Resource};

/// Reads an object. Problems of its shape do not keep the other checks from running on the rest of it.
pub(crate) fn read(mut value: Value, report: &mut Report) -> Option<Resource> {
    let kind = kind_of(&value, report)?;
    let root = cached(kind);
    let holds = shape::check(root, &mut value, report);
    let shape_problems = report.len();
    let resource = if holds { Resource::decode(kind, value, report) } else { None };
    if let Some(resource) = &resource {
        resource.check(report);
        report.drop_consequences(shape_problems);
    }
    resource
}

/// Reads data that is no resource by the schema of its type. Problems of its shape do not keep the other checks from running on
/// the rest of it.
pub(crate) fn read_as<T: JsonSchema + DeserializeOwned>(
    mut value: Value,
    report: &mut Report,
) -> Option<T> {
    if !shape::check(&generate::<T>(), &mut value, report) {
        return None;
    }
    match serde_json::from_value(value) {
        Ok(read) => Some(read),
        Err(error) => {
            report.error(Path::root(), error.to_string());
            None
        }
    }
}

/// The kind that the object says it is of.
fn kind_of(value: &Value, report: &mut Report) -> Option<Kind> {
    if !value.is_object() {
        report.error(
            Path::root(),
            "not an object; a resource has `apiVersion`, `kind` and `metadata`",
        );
        return None;
    }
    let text = |field: &str| value.get(field).filter(|it| !it.is_null());
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        for field in ["apiVersion", "kind"].into_iter().filter(|field| text(field).is_none()) {
            report.error(Path::of(field), "missing; it says what the object is");
        }
        return None;
    };
    let (Some(api_version), Some(kind)) = (api_version.as_str(), kind.as_str()) else {
        for field in ["apiVersion", "kind"].into_iter().filter(|field| !value[*field].is_string()) {
            report.error(Path::of(field), "must be text");
        }
        return None;
    };
    let found = Kind::from_object(api_version, kind);
    if found.is_none() {
        report_unknown(api_version, kind, report);
    }
    found
}

/// Tells of a kind or version that is not known, and of the one that is probably meant.
fn report_unknown(api_version: &str, kind: &str, report: &mut Report) {
    let (group, version) = split_api_version(api_version);
    let all = || Kind::all().iter().copied();
    if let Some(same) = all().find(|it| it.group() == group && it.kind() == kind) {
        let message = format!("unknown version `{version}` of {kind}");
        let versions: Vec<_> = same.versions().iter().map(|it| version_of(group, it)).collect();
        report
            .error(Path::of("apiVersion"), message)
            .suggest(format!("known: {}", versions.join(", ")));
        return;
    }
    let elsewhere: Vec<_> = all().filter(|it| it.kind() == kind).map(Kind::api_version).collect();
    if !elsewhere.is_empty() {
        let message = format!("there is no {kind} in `{api_version}`");
        let text = format!("did you mean `{}`?", elsewhere.join("` or `"));
        report.error(Path::of("apiVersion"), message).suggest(text);
        return;
    }
    let message = format!("unknown kind `{kind}` of `{api_version}`");
    let problem = report.error(Path::of("kind"), message);
    let of_group = all().filter(|it| it.group() == group).map(Kind::kind);
    let near = nearest(kind, of_group).or_else(|| nearest(kind, all().map(Kind::kind)));
    match near {
        Some(near) => problem.suggest(format!("did you mean `{near}`?")),
        None => problem.suggest("`meltemi api-resources` lists the kinds"),
    };
}

fn version_of(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
