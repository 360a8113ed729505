//! `RequestAuthentication`s, and the keys that were fetched for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Dirty, Model};
use crate::authentication::{FetchedKeys, KeySource, RequestAuthenticationRecord};
use crate::record::Object;

impl Model {
    /// Where keys are to be fetched, and how long that may take.
    pub fn key_sources(&self) -> BTreeMap<KeySource, Duration> {
        self.authentications.sources()
    }

    pub(super) fn put_request_authentication(
        &mut self,
        object: &Object,
        record: Option<RequestAuthenticationRecord>,
        dirty: &mut Dirty,
    ) {
        if self.authentications.put(object, record) {
            self.note_authentication(object, dirty);
        }
    }

    pub(super) fn put_keys(&mut self, source: KeySource, keys: FetchedKeys, dirty: &mut Dirty) {
        for object in self.authentications.put_keys(source, keys) {
            self.note_authentication(&object, dirty);
        }
    }

    /// Notes the workloads that a resource may be for.
    fn note_authentication(&mut self, object: &Object, dirty: &mut Dirty) {
        self.refusals.flaw(object, self.authentications.flaw(object));
        let is_root = self.authentications.is_root(&object.namespace);
        self.note_reach(&object.namespace, is_root, |_| true, dirty);
    }
}
