//! `AuthorizationPolicy`s, and the workloads that a change of one touches.

use super::{Dirty, Model};
use crate::authorization::AuthorizationPolicyRecord;
use crate::record::{Object, WorkloadRecord};

impl Model {
    pub(super) fn put_authorization_policy(
        &mut self,
        object: &Object,
        record: Option<AuthorizationPolicyRecord>,
        dirty: &mut Dirty,
    ) {
        self.refusals.flaw(object, record.as_ref().and_then(|it| it.flaw.clone()));
        let Some(replaced) = self.authorizations.put(object, record) else { return };
        let is_root = self.authorizations.is_root(&object.namespace);
        let touches = |it: &WorkloadRecord| replaced.touches(&it.labels);
        self.note_reach(&object.namespace, is_root, touches, dirty);
    }
}
