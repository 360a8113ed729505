//! `PeerAuthentication`s: the workloads that a change of one touches, and their callers' view of them.

use meltemi_policy::peer::PeerAuthentication;

use super::{Dirty, Model};
use crate::record::Object;

impl Model {
    pub(super) fn put_peer_authentication(
        &mut self,
        object: &Object,
        policy: Option<PeerAuthentication>,
        dirty: &mut Dirty,
    ) {
        let Some(replaced) = self.peers.put(object, policy) else { return };
        for (namespace, of) in &self.namespaces {
            for (name, workload) in &of.workloads {
                if !replaced.touches(namespace, &workload.labels) {
                    continue;
                }
                dirty.workloads.insert((namespace.clone(), name.clone()));
                let services = of.selectors.candidates(&workload.labels);
                dirty.endpoints.extend(services.map(|service| (service.clone(), name.clone())));
            }
        }
        for (object, service) in &self.services {
            let mut inline = service.inline.iter();
            if inline
                .any(|(_, it)| it.mutual_tls && replaced.touches(&object.namespace, &it.labels))
            {
                dirty.hosts.extend(service.hosts.iter().cloned());
            }
        }
    }
}
