//! Who asks, and the store as it is for that one: the same objects, every change noted, nothing given away.

use std::sync::Arc;

use meltemi_audit::Recorded;
use meltemi_store::Store;
use serde_json::Value;

use crate::audited::Notes;
use crate::auth::Principal;
use crate::authorize::{self, Ask, What, authorize};
use crate::state::ApiState;
use crate::status::Failure;
use crate::target::Target;

/// One caller of one request.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) principal: Principal,
}

impl Caller {
    pub(crate) fn new(state: &ApiState, principal: Principal, notes: &Notes) -> Self {
        let store = Arc::new(Recorded::new(state.store.clone(), notes.changes.clone()));
        Caller { store, principal }
    }

    /// Refuses what the caller may not do with this.
    pub(crate) async fn authorize(&self, verb: &str, target: &Target) -> Result<(), Failure> {
        let resource = target.resource();
        let what = What::Resource {
            group: target.kind.group(),
            resource: &resource,
            namespace: target.namespace.as_deref(),
            name: target.name.as_deref(),
        };
        authorize(&*self.store, &self.principal, &Ask { verb, what }).await
    }

    /// Refuses an object, about to be written, that gives away what its writer has not.
    pub(crate) async fn admit(&self, target: &Target, object: &Value) -> Result<(), Failure> {
        let namespace = target.namespace.as_deref();
        authorize::admit(&*self.store, &self.principal, target.kind, namespace, object).await
    }
}
