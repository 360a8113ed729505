//! Who looks at the mesh, and what of it that one sees.

use meltemi_names::Host;
use meltemi_policy::route::rule::{MESH, VirtualService};

use crate::service::Service;
use crate::sidecar::Sidecar;

/// Who looks at the mesh.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// The namespace, in which short names are read too.
    pub namespace: &'a str,
    /// The `Sidecar` that is for it.
    pub sidecar: Option<&'a Sidecar>,
}

impl<'a> Viewer<'a> {
    /// A viewer of a namespace for whom there is no `Sidecar`.
    pub fn of(namespace: &'a str) -> Self {
        Viewer { namespace, sidecar: None }
    }

    /// Whether the viewer sees a service: it is exported to the namespace, and the `Sidecar` names it, or a virtual service
    /// that the viewer sees leads there. A host that only virtual services name is seen if one of these is.
    pub fn sees(&self, service: &Service) -> bool {
        let Service { host, namespace, rules, .. } = service;
        if service.is_virtual {
            let is_seen = |rule: &VirtualService| self.imports(&rule.namespace, host);
            return rules.virtual_services.iter().any(|it| self.may_follow(it) && is_seen(it));
        }
        let leads_here = |rule: &VirtualService| {
            let mut hosts = rule.hosts.iter().filter_map(|host| host.parse().ok());
            self.may_follow(rule) && hosts.any(|host| self.imports(&rule.namespace, &host))
        };
        service.export_to.covers(self.namespace)
            && (self.imports(namespace, host) || rules.leading_here.iter().any(|it| leads_here(it)))
    }

    /// Whether a virtual service is for sidecars, and for those of the viewer's namespace.
    fn may_follow(&self, rule: &VirtualService) -> bool {
        rule.binds_to(MESH) && rule.is_visible_to(self.namespace)
    }

    /// Whether the `Sidecar` names a host of a namespace; without one every host is named.
    fn imports(&self, namespace: &str, host: &Host) -> bool {
        self.sidecar.is_none_or(|sidecar| sidecar.sees(self.namespace, namespace, host))
    }
}
