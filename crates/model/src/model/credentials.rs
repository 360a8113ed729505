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
            self.note_namespace(&object.namespace, dirty);
        }
    }

    /// Notes all workloads of a namespace.
    pub(super) fn note_namespace(&self, namespace: &str, dirty: &mut Dirty) {
        let Some((namespace, of)) = self.namespaces.get_key_value(namespace) else { return };
        let names = of.workloads.keys();
        dirty.workloads.extend(names.map(|name| (namespace.clone(), name.clone())));
    }
}
