//! Roles and bindings that say who reads secrets, and the workloads of their namespace.

use super::{Dirty, Model};
use crate::readers::{RoleBindingRecord, RoleRecord};
use crate::record::Object;

impl Model {
    pub(super) fn put_role(
        &mut self,
        object: &Object,
        record: Option<RoleRecord>,
        dirty: &mut Dirty,
    ) {
        if self.readers.put_role(object, record) {
            self.note_reach(&object.namespace, false, |_| true, dirty);
        }
    }

    pub(super) fn put_role_binding(
        &mut self,
        object: &Object,
        record: Option<RoleBindingRecord>,
        dirty: &mut Dirty,
    ) {
        if self.readers.put_binding(object, record) {
            self.note_reach(&object.namespace, false, |_| true, dirty);
        }
    }
}
