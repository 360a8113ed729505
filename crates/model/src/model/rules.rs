//! Rules: which virtual services and destination rules are for a host, and the hosts that only the former name.

use std::collections::BTreeSet;
use std::sync::Arc;

use meltemi_names::Host;

use super::{Dirty, Model};
use crate::affected::Affected;
use crate::destinations::DestinationRuleRecord;
use crate::record::{Object, ObjectKind};
use crate::routes::{ReferenceGrantRecord, RouteRecord, Touched, VirtualServiceRecord};
use crate::service::{Rules, Service};

impl Model {
    pub(super) fn put_virtual_service(
        &mut self,
        object: &Object,
        record: Option<VirtualServiceRecord>,
        dirty: &mut Dirty,
    ) {
        let mut touched = Touched::default();
        self.routes.put(object, record, &mut touched);
        let named = touched.hosts.iter().cloned();
        // It may name the host no more.
        touched.left.extend(named.map(|host| (object.clone(), host)));
        self.follow(touched, dirty);
    }

    pub(super) fn put_route(
        &mut self,
        object: &Object,
        record: Option<RouteRecord>,
        dirty: &mut Dirty,
    ) {
        let mut touched = Touched::default();
        self.routes.put_route(object, record, &mut touched);
        self.follow(touched, dirty);
    }

    pub(super) fn put_reference_grant(
        &mut self,
        object: &Object,
        record: Option<ReferenceGrantRecord>,
        dirty: &mut Dirty,
    ) {
        let mut touched = Touched::default();
        self.routes.put_grant(object, record, &mut touched);
        self.follow(touched, dirty);
    }

    /// Has the routes that are attached to a service entry follow its hosts.
    pub(super) fn note_entry(
        &mut self,
        object: &Object,
        hosts: Option<&[Host]>,
        dirty: &mut Dirty,
    ) {
        let mut touched = Touched::default();
        self.routes.put_entry(object, hosts, &mut touched);
        self.follow(touched, dirty);
    }

    /// Takes note of what a change of rules touches.
    fn follow(&mut self, touched: Touched, dirty: &mut Dirty) {
        for (object, flaw) in touched.flaws {
            self.refusals.flaw(&object, flaw);
            if matches!(object.kind, ObjectKind::HttpRoute | ObjectKind::GrpcRoute) {
                dirty.routes.insert(object);
            }
        }
        for (object, host) in &touched.left {
            self.refusals.shadow(object, host, None);
        }
        let left = touched.left.into_iter().map(|(_, host)| host);
        let hosts: BTreeSet<Host> = left.chain(touched.hosts.iter().cloned()).collect();
        for host in &hosts {
            for (object, owner) in self.routes.overlapping(host) {
                self.refusals.shadow(&object, host, owner.as_ref());
            }
        }
        dirty.rules.extend(touched.led);
        self.note_covered(touched.hosts, dirty);
    }

    pub(super) fn put_destination_rule(
        &mut self,
        object: &Object,
        record: Option<DestinationRuleRecord>,
        dirty: &mut Dirty,
    ) {
        let mut touched = BTreeSet::new();
        if self.destinations.put(object, record, &mut touched) {
            self.note_reach(&object.namespace, false, |_| true, dirty);
        }
        self.note_covered(touched, dirty);
    }

    /// Notes the hosts that these, wildcards among them, cover, and these themselves.
    fn note_covered(&self, touched: BTreeSet<Host>, dirty: &mut Dirty) {
        for host in touched {
            dirty.rules.extend(self.hosts.covered_by(&host));
            dirty.rules.insert(host);
        }
    }

    /// Finds anew which rules are for a host; nothing else of it has changed.
    pub(super) fn recompute_rules(&mut self, host: &Host, affected: &mut Affected) {
        let Some(service) = self.current.services.get(host.as_str()).cloned() else {
            let next = self.build_virtual_host(host);
            return self.swap_in(host, next.into_iter().collect(), affected);
        };
        let rules = self.rules_of(host);
        if rules.is(&service.rules) {
            return;
        }
        affected.services.insert(host.clone());
        let others = self.current.others.get(host.as_str()).cloned();
        let with_rules = |it: &Service| Arc::new(Service { rules: rules.clone(), ..it.clone() });
        self.current.services.insert(host.to_string(), with_rules(&service));
        if let Some(others) = others {
            let others = others.iter().map(|it| with_rules(it)).collect();
            self.current.others.insert(host.to_string(), others);
        }
    }

    pub(super) fn rules_of(&self, host: &Host) -> Rules {
        Rules {
            virtual_services: self.routes.of(host),
            destination_rules: self.destinations.of(host),
            leading_here: self.routes.leading_to(host),
        }
    }

    /// The host that only virtual services name, if one does.
    pub(super) fn build_virtual_host(&self, host: &Host) -> Option<Service> {
        let first = self.routes.naming(host)?;
        Some(Service::virtual_host(host, first, self.rules_of(host)))
    }
}
