//! What the Gateway API's kinds point to.

use super::Collected;
use crate::Kind;
use crate::gateway_api::GROUP;
use crate::gateway_api::gateway::GatewaySpec;
use crate::gateway_api::grpc_route::GrpcRouteSpec;
use crate::gateway_api::http_route::{HttpFilter, HttpRouteSpec};
use crate::gateway_api::reference::{BackendObjectReference, ParentReference};
use crate::gateway_api::tcp_route::StreamRule;
use crate::refuse::Path;

impl Collected {
    pub(super) fn gateway(&mut self, spec: &GatewaySpec) {
        for (index, listener) in spec.listeners.iter().enumerate() {
            let at = Path::of("spec").field("listeners").item(index).field("tls");
            let certificates = listener.tls.iter().flat_map(|tls| &tls.certificate_refs);
            for (index, certificate) in certificates.enumerate() {
                let is_secret = certificate.group.as_deref().unwrap_or_default().is_empty()
                    && certificate.kind.as_deref().unwrap_or("Secret") == "Secret";
                if is_secret {
                    let at = at.field("certificateRefs").item(index).field("name");
                    let namespace = self.namespace_or_own(certificate.namespace.as_deref());
                    self.object(Kind::Secret, Some(&namespace), &certificate.name, at);
                }
            }
        }
    }

    pub(super) fn http_route(&mut self, spec: &HttpRouteSpec) {
        self.parents(&spec.parent_refs);
        for (index, rule) in spec.rules.iter().enumerate() {
            let at = Path::of("spec").field("rules").item(index);
            self.http_filters(&rule.filters, &at);
            for (index, backend) in rule.backend_refs.iter().enumerate() {
                let at = at.field("backendRefs").item(index);
                self.backend(&backend.backend, &at);
                self.http_filters(&backend.filters, &at);
            }
        }
    }

    fn http_filters(&mut self, filters: &[HttpFilter], at: &Path) {
        for (index, filter) in filters.iter().enumerate() {
            let at = at.field("filters").item(index);
            if let Some(mirror) = &filter.request_mirror {
                self.backend(&mirror.backend_ref, &at.field("requestMirror").field("backendRef"));
            }
            if let Some(auth) = &filter.external_auth {
                self.backend(&auth.backend_ref, &at.field("externalAuth").field("backendRef"));
            }
        }
    }

    pub(super) fn grpc_route(&mut self, spec: &GrpcRouteSpec) {
        self.parents(&spec.parent_refs);
        for (index, rule) in spec.rules.iter().enumerate() {
            let at = Path::of("spec").field("rules").item(index);
            for (index, filter) in rule.filters.iter().enumerate() {
                if let Some(mirror) = &filter.request_mirror {
                    let at = at.field("filters").item(index).field("requestMirror");
                    self.backend(&mirror.backend_ref, &at.field("backendRef"));
                }
            }
            for (index, backend) in rule.backend_refs.iter().enumerate() {
                self.backend(&backend.backend, &at.field("backendRefs").item(index));
            }
        }
    }

    pub(super) fn stream_route(&mut self, parents: &[ParentReference], rules: &[StreamRule]) {
        self.parents(parents);
        for (index, rule) in rules.iter().enumerate() {
            let at = Path::of("spec").field("rules").item(index).field("backendRefs");
            for (index, backend) in rule.backend_refs.iter().enumerate() {
                self.backend(&backend.backend, &at.item(index));
            }
        }
    }

    fn parents(&mut self, parents: &[ParentReference]) {
        for (index, parent) in parents.iter().enumerate() {
            let group = parent.group.as_deref().unwrap_or(GROUP);
            let kind = match (group, parent.kind.as_deref().unwrap_or("Gateway")) {
                (GROUP, "Gateway") => Kind::KubernetesGateway,
                ("", "Service") => Kind::Service,
                ("networking.istio.io", "ServiceEntry") => Kind::ServiceEntry,
                _ => continue,
            };
            let namespace = self.namespace_or_own(parent.namespace.as_deref());
            let at = Path::of("spec").field("parentRefs").item(index).field("name");
            self.object(kind, Some(&namespace), &parent.name, at);
        }
    }

    fn backend(&mut self, backend: &BackendObjectReference, at: &Path) {
        if backend.is_service() {
            let namespace = self.namespace_or_own(backend.namespace.as_deref());
            self.object(Kind::Service, Some(&namespace), &backend.name, at.field("name"));
            if let Some(port) = backend.port {
                self.port_in(namespace, &backend.name, port.number(), at.field("port"));
            }
        }
    }

    fn namespace_or_own(&self, namespace: Option<&str>) -> String {
        namespace.unwrap_or(&self.namespace).to_owned()
    }
}
