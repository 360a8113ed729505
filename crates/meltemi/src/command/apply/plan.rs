//! What an apply would do: each object's path, what is there now, and what the server would make of it.

use std::fmt;

use meltemi_api::{Kind, Parsed};
use serde_json::Value;

use crate::client::{APPLY, Answer, Client, ClientError, JSON};
use crate::exit::Failure;
use crate::input;
use crate::output;
use crate::resource::{Resource, Resources};

/// Under which name this command applies; `force` takes over fields that others had applied.
const MANAGER: &str = "fieldManager=meltemi&force=true";

/// What became of an object, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Configured,
    Unchanged,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        })
    }
}

/// One object to be applied.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) object: Parsed,
    pub(super) resource: &'a Resource,
    /// As it was before.
    pub(super) before: Option<Value>,
    /// As the server has it now, or would have it.
    pub(super) after: Option<Value>,
    pub(super) outcome: Outcome,
    /// Its namespace is made by this apply, too, so that the server cannot try the object out before.
    pub(super) in_new_namespace: bool,
}

impl Step<'_> {
    /// `service/hello`.
    pub(super) fn name(&self) -> String {
        let written = self.now().pointer("/metadata/name").and_then(Value::as_str);
        format!("{}/{}", self.resource.label(), written.unwrap_or_default())
    }

    /// The object in its newest form.
    pub(super) fn now(&self) -> &Value {
        self.after.as_ref().or(self.before.as_ref()).unwrap_or(&self.object.value)
    }

    /// Its place on the server.
    pub(super) fn path(&self) -> String {
        self.path_of(Some(self.object.name()))
    }

    /// The place of an object of this name, or of all, in the version in which the object was read.
    pub(super) fn path_of(&self, name: Option<&str>) -> String {
        let version = self.object.kind().storage_version();
        self.resource.path_in(version, self.object.namespace(), name)
    }

    /// Applies it, or lets the server try that.
    pub(super) async fn send(
        &self,
        client: &mut Client,
        dry_run: bool,
    ) -> Result<Answer, ClientError> {
        let dry = if dry_run { "&dryRun=All" } else { "" };
        if self.object.name().is_empty() {
            // The server makes the name: there is nothing that it could be applied onto.
            let path = self.path_of(None);
            return client.post(&format!("{path}?{MANAGER}{dry}"), &self.object.value).await;
        }
        let path = format!("{}?{MANAGER}{dry}", self.path());
        client.patch(&path, APPLY, &self.object.value).await
    }

    fn is_namespace(&self) -> bool {
        self.object.kind() == Kind::Namespace
    }
}

/// The steps in the order in which they are to be done: what others stand on comes first.
pub(super) fn make(
    resources: &Resources,
    mut objects: Vec<Parsed>,
) -> Result<Vec<Step<'_>>, Failure> {
    objects.sort_by_key(Parsed::kind);
    let step = |object: Parsed| {
        let kind = object.kind();
        Ok(Step {
            resource: resources.of_object(&kind.api_version(), kind.kind())?,
            object,
            before: None,
            after: None,
            outcome: Outcome::Created,
            in_new_namespace: false,
        })
    };
    objects.into_iter().map(step).collect()
}

/// Reads what is there now.
pub(super) async fn look(client: &mut Client, steps: &mut [Step<'_>]) -> Result<(), Failure> {
    let mut new_namespaces = Vec::new();
    for step in steps {
        let namespace = step.object.namespace();
        step.in_new_namespace =
            namespace.is_some_and(|namespace| new_namespaces.iter().any(|new| new == namespace));
        if step.object.name().is_empty() || step.in_new_namespace {
            continue;
        }
        match client.get(&step.path(), JSON).await {
            Ok(object) => step.before = Some(object),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        if step.is_namespace() && step.before.is_none() {
            new_namespaces.push(step.object.name().to_owned());
        }
    }
    Ok(())
}

/// Lets the server try every object, and tells of all that it refuses.
pub(super) async fn try_out(client: &mut Client, steps: &mut [Step<'_>]) -> Result<(), Failure> {
    let mut refused = 0_usize;
    for step in steps.iter_mut().filter(|step| !step.in_new_namespace) {
        match step.send(client, true).await {
            Ok(answer) => step.take(answer),
            Err(ClientError::Refused(status)) => {
                let (file, line) = (&step.object.file, step.object.line);
                output::complain(&format!("{file}:{line}: {}: {status}", step.name()));
                refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if refused == 0 {
        return Ok(());
    }
    let objects = input::counted(refused, "object");
    Err(Failure::Failed(format!(
        "the control plane refused {objects}, nothing was applied: correct what is listed above"
    )))
}

impl Step<'_> {
    /// Takes in what the server made of the object.
    pub(super) fn take(&mut self, answer: Answer) {
        self.outcome = match &self.before {
            _ if answer.created => Outcome::Created,
            Some(before) if substance(before) == substance(&answer.body) => Outcome::Unchanged,
            _ => Outcome::Configured,
        };
        self.after = Some(answer.body);
    }
}

/// Compares with what is there, without the server.
pub(super) fn compare(steps: &mut [Step<'_>]) {
    for step in steps {
        step.outcome = match &step.before {
            None => Outcome::Created,
            Some(before) if holds(before, &step.object.value) => Outcome::Unchanged,
            Some(_) => Outcome::Configured,
        };
        step.after = Some(step.object.value.clone());
    }
}

/// An object without what changes at every write.
fn substance(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["resourceVersion", "generation", "managedFields"] {
            metadata.remove(field);
        }
    }
    object
}

/// Whether everything that is applied stands in the object already.
fn holds(object: &Value, applied: &Value) -> bool {
    match (object, applied) {
        (Value::Object(object), Value::Object(applied)) => applied.iter().all(|(name, part)| {
            part.is_null() || object.get(name).is_some_and(|there| holds(there, part))
        }),
        // The server fills in what is left out of an item, too.
        (Value::Array(object), Value::Array(applied)) => {
            object.len() == applied.len()
                && object.iter().zip(applied).all(|(there, part)| holds(there, part))
        }
        _ => object == applied,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_user_wrote_counts() {
        let there = json!({"metadata": {"name": "a", "uid": "u"}, "spec": {
            "hosts": ["a", "b"], "x": 1, "ports": [{"port": 80, "protocol": "TCP"}],
        }});
        for (applied, expected) in [
            (json!({"metadata": {"name": "a"}, "spec": {"hosts": ["a", "b"]}}), true),
            (json!({"metadata": {"creationTimestamp": null}}), true),
            (json!({"spec": {"ports": [{"port": 80}]}}), true),
            (json!({"spec": {"ports": [{"port": 81}]}}), false),
            (json!({"spec": {"hosts": ["a"]}}), false),
            (json!({"spec": {"y": 1}}), false),
            (json!({"spec": 1}), false),
        ] {
            assert_eq!(holds(&there, &applied), expected, "{applied}");
        }
    }

    #[test]
    fn versions_are_no_substance() {
        let one =
            json!({"metadata": {"name": "a", "resourceVersion": "1", "generation": 1}, "spec": {}});
        let mut two = one.clone();
        two["metadata"]["resourceVersion"] = json!("2");
        two["metadata"]["generation"] = json!(2);
        assert_eq!(substance(&one), substance(&two));
        two["metadata"]["labels"] = json!({"a": "b"});
        assert_ne!(substance(&one), substance(&two));
    }
}
