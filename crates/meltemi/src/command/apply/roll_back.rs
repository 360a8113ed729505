//! Takes back writes of an apply that could not be finished, the last first.

use serde_json::{Value, json};

use super::plan::{Outcome, Step};
use crate::client::{Client, ClientError};

/// What became of the objects that had been applied.
#[derive(Debug, Default)]
pub(super) struct TakenBack {
    /// As they were before.
    pub(super) done: Vec<String>,
    /// Still applied, with the reason.
    pub(super) left: Vec<String>,
}

/// Takes back the steps, which were all done.
pub(super) async fn all(client: &mut Client, steps: &[Step<'_>]) -> TakenBack {
    let mut taken_back = TakenBack::default();
    for step in steps.iter().rev() {
        let name = step.name();
        match one(client, step).await {
            Ok(Some(how)) => taken_back.done.push(format!("{name} ({how})")),
            Ok(None) => {}
            Err(error) => taken_back.left.push(format!("{name} ({error})")),
        }
    }
    taken_back
}

/// Takes one back, unless somebody else has changed the object since.
async fn one(client: &mut Client, step: &Step<'_>) -> Result<Option<&'static str>, ClientError> {
    let metadata = |field: &str| step.now().pointer(&format!("/metadata/{field}")).cloned();
    match (step.outcome, &step.before) {
        (Outcome::Created, _) => {
            let name = metadata("name");
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
            let path = step.path_of(Some(name));
            let preconditions =
                json!({"uid": metadata("uid"), "resourceVersion": metadata("resourceVersion")});
            client.delete(&path, &json!({"preconditions": preconditions})).await?;
            Ok(Some("deleted again"))
        }
        (Outcome::Configured, Some(before)) => {
            let mut before = before.clone();
            before["metadata"]["resourceVersion"] = json!(metadata("resourceVersion"));
            client.put(&step.path(), &before).await?;
            Ok(Some("as before"))
        }
        _ => Ok(None),
    }
}
