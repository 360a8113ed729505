//! The status of routes of the Gateway API, found of the records from which their rules are made.

use std::sync::Arc;

use meltemi_names::Host;

use super::Model;
use crate::record::{Object, PortRecord};
use crate::routes::{
    Backend, Parent, ParentOf, RouteCondition, RouteParentStatus, RouteRecord, RouteStatus,
};

/// What is wrong, in the Gateway API's word and for people.
type Problem = (&'static str, String);

impl Model {
    /// Finds anew what is told of a route.
    pub(super) fn recompute_status(&mut self, object: &Object) {
        let next = self.routes.route(object).map(|record| self.status_of(object, record));
        let before = self.current.route_statuses.get(object);
        if before.map(|it| &**it) == next.as_ref() {
            return;
        }
        let statuses = Arc::make_mut(&mut self.current.route_statuses);
        match next {
            Some(next) => drop(statuses.insert(object.clone(), Arc::new(next))),
            None => drop(statuses.remove(object)),
        }
    }

    fn status_of(&self, object: &Object, record: &RouteRecord) -> RouteStatus {
        let resolved = RouteCondition::resolved(self.unresolved(object, record));
        let parents = record.parents.iter().zip(&record.given);
        let parents = parents.map(|(parent, given)| RouteParentStatus {
            parent: given.clone(),
            conditions: [
                RouteCondition::accepted(self.refused(object, record, parent)),
                resolved.clone(),
            ],
        });
        RouteStatus { generation: record.generation, parents: parents.collect() }
    }

    /// Why a route has no effect at a parent, or not as it says.
    fn refused(&self, object: &Object, record: &RouteRecord, parent: &Parent) -> Option<Problem> {
        let ports = match self.ports_of(parent) {
            Ok(ports) => ports,
            Err(message) => return Some(("NoMatchingParent", message)),
        };
        if let Some(port) = parent.port
            && !ports.iter().any(|it| it.number == port)
        {
            return Some(("NoMatchingParent", format!("the parent has no port {port}")));
        }
        if !record.unsupported.is_empty() {
            return Some(("UnsupportedValue", record.unsupported.join("; ")));
        }
        let displacing =
            self.hosts_of(parent).find_map(|host| self.routes.displacing(object, host));
        let message =
            |it: &Object| format!("for the same port there is {it}, which goes before it");
        displacing.map(|it| ("Conflicted", message(it)))
    }

    fn ports_of(&self, parent: &Parent) -> Result<&[PortRecord], String> {
        let (object, message) = match &parent.of {
            ParentOf::Host(host) => {
                let service = self.current.services.get(host.as_str());
                (service.map(|it| &it.object), format!("there is no service {host}"))
            }
            ParentOf::Entry(entry) => (Some(entry), format!("there is no {entry}")),
        };
        let record = object.and_then(|object| self.services.get(object));
        record.map(|record| record.ports.as_slice()).ok_or(message)
    }

    fn hosts_of<'a>(&'a self, parent: &'a Parent) -> impl Iterator<Item = &'a Host> {
        let hosts = match &parent.of {
            ParentOf::Host(host) => std::slice::from_ref(host),
            ParentOf::Entry(entry) => self.services.get(entry).map_or(&[][..], |it| &it.hosts),
        };
        hosts.iter()
    }

    /// What a route names and is not there, or may not be named; of several the first decides the reason.
    fn unresolved(&self, object: &Object, record: &RouteRecord) -> Option<Problem> {
        let mut problems = record.backends.iter().filter_map(|it| self.missing(object, it));
        let (reason, mut message) = problems.next()?;
        for (_, further) in problems {
            message = format!("{message}; {further}");
        }
        Some((reason, message))
    }

    fn missing(&self, object: &Object, backend: &Backend) -> Option<Problem> {
        let path = &backend.path;
        let (host, port) = match &backend.to {
            Ok(to) => to,
            Err(reason) => return Some(("InvalidKind", format!("{path}: {reason}"))),
        };
        if let Some(reason) = self.routes.forbidden(object, host) {
            return Some(("RefNotPermitted", format!("{path}: {reason}")));
        }
        let Some(service) = self.current.find_registered(host.as_str(), &object.namespace) else {
            return Some(("BackendNotFound", format!("{path}: there is no service {host}")));
        };
        let port = port.filter(|port| !service.ports.iter().any(|it| it.number == *port))?;
        Some(("BackendNotFound", format!("{path}: service {host} has no port {port}")))
    }
}
