//! What has to be in a store before the first request: the namespaces on which the mesh stands.

use bytes::Bytes;
use meltemi_names::{DEFAULT_NAMESPACE, ROOT_NAMESPACE};
use meltemi_store::{Expect, Result, Store, StoreError};
use serde_json::json;

use crate::write::namespace_key;
use meltemi_audit::timestamp;

/// Makes the namespaces `default` and `istio-system` where they are missing.
///
/// # Errors
/// What the store met.
pub async fn ensure_namespaces(store: &dyn Store) -> Result<()> {
    for name in [DEFAULT_NAMESPACE, ROOT_NAMESPACE] {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "creationTimestamp": timestamp::format(timestamp::now())},
        });
        match store
            .put(namespace_key(name), Bytes::from(namespace.to_string()), Expect::Absent)
            .await
        {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
