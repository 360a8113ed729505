//! `Secret`s, and the workloads whose rules need them.

use super::{Dirty, Model};
use crate::credentials::{Credential, names_of};
use crate::record::Object;

impl Model {
    pub(super) fn put_secret(
        &mut self,
        object: &Object,
        record: Option<Credential>,
        dirty: &mut Dirty,
    ) {
        let is_other = self.credentials.put(object, record);
        let mut names = names_of(&object.name);
        if is_other && names.any(|name| self.destinations.need(&object.namespace, name)) {
            self.note_reach(&object.namespace, false, |_| true, dirty);
        }
    }
}
