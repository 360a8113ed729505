//! What is no longer needed goes: hosts that no name leads to, and names when there are too many.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use meltemi_wire::type_url;

use super::{Change, Follow, Name, Receiver, State, glob};

impl Receiver {
    /// A name leads to the host no longer. A host that no name leads to is forgotten.
    pub(super) fn unlink(&mut self, name: &Arc<str>, host: &Arc<str>, change: &mut Change) {
        let Some(hosted) = self.hosts.get_mut(host) else { return };
        hosted.names.remove(name);
        if !hosted.names.is_empty() {
            self.end_if_unnamed(host);
            change.touched.insert(host.clone());
            return;
        }
        hosted.clear(&mut change.left);
        self.hosts.remove(host);
        self.clear_endpoints(&format!("{host}/"));
        change.follow.push(Follow::End(type_url::ENDPOINT, glob(host)));
    }

    /// A service that is denied under all its names is no longer there.
    pub(super) fn end_if_unnamed(&mut self, host: &Arc<str>) {
        let Some(hosted) = self.hosts.get_mut(host) else { return };
        let is_present = |name| {
            self.names.get(name).is_some_and(|it: &Name| matches!(it.state, State::Present { .. }))
        };
        if !hosted.names.iter().any(is_present) {
            hosted.service = None;
        }
    }

    /// Drops a tenth of the names: those that stand for no service first, and of those the ones that were not looked up
    /// lately, the oldest first. Services are dropped only where there is nothing else.
    pub(super) fn make_room(&mut self, change: &mut Change) {
        let mut candidates: Vec<(bool, bool, u64, Arc<str>)> = self
            .names
            .iter()
            .map(|(name, it)| {
                let is_service = matches!(it.state, State::Present { .. });
                (is_service, it.used.swap(false, Ordering::Relaxed), it.asked, name.clone())
            })
            .collect();
        candidates.sort();
        let only_services = candidates.first().is_some_and(|(is_service, ..)| *is_service);
        let batch = (self.limit / 10).max(1);
        for (is_service, _, _, name) in candidates.into_iter().take(batch) {
            if is_service == only_services {
                self.forget(&name, change);
            }
        }
    }

    fn forget(&mut self, name: &Arc<str>, change: &mut Change) {
        let Some(forgotten) = self.names.remove(name) else { return };
        if let Some(host) = &forgotten.host {
            self.unlink(name, host, change);
        }
        self.clear(type_url::SERVICE, name);
        change.follow.push(Follow::End(type_url::SERVICE, name.to_string()));
        change.renamed.insert(name.clone());
        self.revision += 1;
    }
}
