//! What the control plane has set aside, for the commands that tell of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, JSON};

/// A resource that is stored, but of no use to the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// As in `ServiceEntry`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Rejected {
    /// What is set aside as of the newest of these objects or lists, or later; `None` where the control plane does not
    /// say.
    pub async fn fetch(
        client: &mut Client,
        seen: &[&Value],
    ) -> Result<Option<Vec<Self>>, ClientError> {
        let version = seen.iter().map(|it| version(it)).max().unwrap_or_default();
        let path = format!("/meltemi/v1/rejected?resourceVersion={version}");
        match client.get(&path, JSON).await {
            Ok(list) => Ok(serde_json::from_value(list).ok()),
            // An API server of another make, or a control plane that lags behind its store.
            Err(ClientError::Refused(_) | ClientError::Foreign { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it is this object.
    pub fn is(&self, kind: &str, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.kind == kind
            && metadata["namespace"] == *self.namespace
            && metadata["name"] == *self.name
    }
}

/// The version of an object or a list; 0 if it has none of ours.
fn version(seen: &Value) -> u64 {
    let text = seen["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_found_by_kind_and_name() {
        let [kind, namespace, name, reason] = ["Service", "shop", "web", "x"].map(str::to_owned);
        let rejected = Rejected { kind, namespace, name, reason };
        let object = json!({"metadata": {"namespace": "shop", "name": "web"}});
        assert!(rejected.is("Service", &object));
        assert!(!rejected.is("ServiceEntry", &object));
        assert!(!rejected.is("Service", &json!({"metadata": {"namespace": "a", "name": "web"}})));
        assert!(!rejected.is("Service", &json!({})));
    }

    #[test]
    fn foreign_versions_count_for_nothing() {
        assert_eq!(version(&json!({"metadata": {"resourceVersion": "17"}})), 17);
        assert_eq!(version(&json!({"metadata": {"resourceVersion": "a7"}})), 0);
        assert_eq!(version(&json!({})), 0);
    }
}
