//! What Istio's kinds point to.

use super::Collected;
use crate::Kind;
use crate::gateway_api::GROUP;
use crate::istio::PolicyTargetReference;
use crate::istio::destination_rule::DestinationRuleSpec;
use crate::istio::gateway::GatewaySpec;
use crate::istio::sidecar::SidecarSpec;
use crate::istio::tls::ClientTls;
use crate::istio::virtual_service::{Destination, HttpRoute, RouteDestination, VirtualServiceSpec};
use crate::refuse::Path;

/// The gateway that stands for all sidecars.
const MESH: &str = "mesh";

impl Collected {
    pub(super) fn virtual_service(&mut self, spec: &VirtualServiceSpec) {
        let at = Path::of("spec");
        self.gateways(&spec.gateways, &at);
        for (index, route) in spec.http.iter().enumerate() {
            self.http(route, &at.field("http").item(index));
        }
        for (index, route) in spec.tls.iter().enumerate() {
            let at = at.field("tls").item(index);
            for (index, it) in route.matches.iter().enumerate() {
                self.gateways(&it.gateways, &at.field("match").item(index));
            }
            self.routes(&route.route, &at);
        }
        for (index, route) in spec.tcp.iter().enumerate() {
            let at = at.field("tcp").item(index);
            for (index, it) in route.matches.iter().enumerate() {
                self.gateways(&it.gateways, &at.field("match").item(index));
            }
            self.routes(&route.route, &at);
        }
    }

    fn http(&mut self, route: &HttpRoute, at: &Path) {
        for (index, it) in route.matches.iter().enumerate() {
            self.gateways(&it.gateways, &at.field("match").item(index));
        }
        for (index, it) in route.route.iter().enumerate() {
            self.destination(&it.destination, &at.field("route").item(index).field("destination"));
        }
        if let Some(mirror) = &route.mirror {
            self.destination(mirror, &at.field("mirror"));
        }
        for (index, it) in route.mirrors.iter().enumerate() {
            let at = at.field("mirrors").item(index).field("destination");
            self.destination(&it.destination, &at);
        }
        if let Some(delegate) = &route.delegate {
            let namespace = match delegate.namespace.as_str() {
                "" => self.namespace.clone(),
                namespace => namespace.to_owned(),
            };
            let at = at.field("delegate").field("name");
            self.object(Kind::VirtualService, Some(&namespace), &delegate.name, at);
        }
    }

    fn routes(&mut self, routes: &[RouteDestination], at: &Path) {
        for (index, it) in routes.iter().enumerate() {
            self.destination(&it.destination, &at.field("route").item(index).field("destination"));
        }
    }

    fn destination(&mut self, destination: &Destination, at: &Path) {
        self.host(&destination.host, &destination.subset, at.field("host"));
        if let Some(port) = destination.port.and_then(|port| port.number) {
            self.port(&destination.host, port.number(), at.field("port").field("number"));
        }
    }

    fn gateways(&mut self, gateways: &[String], at: &Path) {
        for (index, gateway) in gateways.iter().enumerate().filter(|(_, it)| *it != MESH) {
            let own = self.namespace.clone();
            let (namespace, name) = match gateway.split_once('/') {
                Some((".", name)) => (own.as_str(), name),
                Some((namespace, name)) => (namespace, name),
                None => (own.as_str(), gateway.as_str()),
            };
            let at = at.field("gateways").item(index);
            self.object(Kind::Gateway, Some(namespace), name, at);
        }
    }

    /// Secrets of a gateway are looked for where its proxies run, which the gateway does not say.
    pub(super) fn istio_gateway(&mut self, spec: &GatewaySpec) {
        for (index, server) in spec.servers.iter().enumerate() {
            let Some(tls) = &server.tls else {
                continue;
            };
            let at = Path::of("spec").field("servers").item(index).field("tls");
            if !tls.credential_name.is_empty() {
                self.secret(&tls.credential_name, at.field("credentialName"));
            }
            for (index, name) in tls.credential_names.iter().enumerate() {
                self.secret(name, at.field("credentialNames").item(index));
            }
        }
    }

    /// The host of a rule, the ports of it that have settings of their own, and the Secrets of the rule's workloads.
    pub(super) fn destination_rule(&mut self, spec: &DestinationRuleSpec) {
        let at = Path::of("spec");
        self.host(&spec.host, "", at.field("host"));
        let whole = spec.traffic_policy.iter().map(|it| (at.clone(), it));
        let parts = spec.subsets.iter().enumerate().filter_map(|(index, subset)| {
            Some((at.field("subsets").item(index), subset.traffic_policy.as_ref()?))
        });
        let policies = whole.chain(parts).map(|(at, policy)| (at.field("trafficPolicy"), policy));
        let mut named = Vec::new();
        for (at, policy) in policies {
            named.extend(policy.tls.iter().map(|tls| (at.clone(), tls)));
            for (index, settings) in policy.port_level_settings.iter().enumerate() {
                let at = at.field("portLevelSettings").item(index);
                if let Some(port) = settings.port.and_then(|port| port.number) {
                    self.port(&spec.host, port.number(), at.field("port").field("number"));
                }
                named.extend(settings.tls.iter().map(|tls| (at.clone(), tls)));
            }
        }
        // Those of a rule without a selector are for gateways, and lie where these run.
        if spec.workload_selector.is_some() {
            self.credentials(named.into_iter());
        }
    }

    /// Secrets that are of the object's own namespace.
    fn credentials<'t>(&mut self, named: impl Iterator<Item = (Path, &'t ClientTls)>) {
        let namespace = self.namespace.clone();
        for (at, tls) in named.filter(|(_, tls)| !tls.credential_name.is_empty()) {
            let at = at.field("tls").field("credentialName");
            self.object(Kind::Secret, Some(&namespace), &tls.credential_name, at);
        }
    }

    fn secret(&mut self, name: &str, at: Path) {
        // `SCHEME://...` names a secret of another holder.
        if !name.contains("://") {
            self.object(Kind::Secret, None, name, at);
        }
    }

    pub(super) fn sidecar(&mut self, spec: &SidecarSpec) {
        let policy = spec.outbound_traffic_policy.as_ref();
        if let Some(proxy) = policy.and_then(|policy| policy.egress_proxy.as_ref()) {
            let at = Path::of("spec").field("outboundTrafficPolicy").field("egressProxy");
            self.destination(proxy, &at);
        }
    }

    /// The objects that a policy is attached to.
    pub(super) fn policy_targets(
        &mut self,
        one: &Option<PolicyTargetReference>,
        many: &[PolicyTargetReference],
    ) {
        let at = Path::of("spec");
        let one = one.iter().map(|it| (at.field("targetRef"), it));
        let many = many.iter().enumerate();
        let many = many.map(|(index, it)| (at.field("targetRefs").item(index), it));
        for (at, target) in one.chain(many) {
            let kind = match (target.group.as_str(), target.kind.as_str()) {
                ("", "Service") => Kind::Service,
                ("networking.istio.io", "ServiceEntry") => Kind::ServiceEntry,
                (GROUP, "Gateway") => Kind::KubernetesGateway,
                (GROUP, "GatewayClass") => Kind::GatewayClass,
                _ => continue,
            };
            let namespace = kind.namespaced().then(|| self.namespace.clone());
            self.object(kind, namespace.as_deref(), &target.name, at.field("name"));
        }
    }
}
