//! A `Sidecar`, as the proxy that it is for gets it.

use meltemi_model::{
    EgressHost, EgressListener, EgressNamespace, EgressProxy, EgressScope, IngressListener,
    OutboundMode, Sidecar,
};
use meltemi_wire::proto::meltemi::v1;

use super::rules::json;

/// The message for a workload of the namespace `own`.
pub(super) fn message(sidecar: &Sidecar, own: &str) -> v1::Sidecar {
    let record = &sidecar.record;
    let outbound_mode = match record.outbound_mode {
        None => v1::OutboundMode::UnsetOutboundMode,
        Some(OutboundMode::RegistryOnly) => v1::OutboundMode::RegistryOnly,
        Some(OutboundMode::AllowAny) => v1::OutboundMode::AllowAny,
    };
    v1::Sidecar {
        name: format!("{}/{}", sidecar.object.namespace, sidecar.object.name),
        outbound_mode: outbound_mode.into(),
        egress_proxy: record.egress_proxy.as_ref().map(egress_proxy),
        ingress: record.ingress.iter().map(listener).collect(),
        inbound_connection_pool: record
            .inbound_connection_pool
            .as_ref()
            .map(json)
            .unwrap_or_default(),
        egress: record.egress.iter().map(|host| egress(host, own)).collect(),
        listeners: record.listeners.iter().map(|it| egress_listener(it, own)).collect(),
        scopes: record.scopes.iter().map(|it| egress_scope(it, own)).collect(),
    }
}

fn egress(egress: &EgressHost, own: &str) -> String {
    let namespace = match &egress.namespace {
        EgressNamespace::Any => "*",
        EgressNamespace::Own => own,
        EgressNamespace::None => "~",
        EgressNamespace::Named(named) => named,
    };
    format!("{namespace}/{}", egress.host)
}

fn egress_listener(listener: &EgressListener, own: &str) -> v1::EgressListener {
    v1::EgressListener {
        bind: listener.bind.clone(),
        port: listener.port.unwrap_or_default().into(),
        protocol: v1::Protocol::from(listener.protocol).into(),
        hosts: listener.hosts.iter().map(|host| egress(host, own)).collect(),
    }
}

fn egress_scope(scope: &EgressScope, own: &str) -> v1::EgressScope {
    v1::EgressScope {
        port: scope.port.unwrap_or_default().into(),
        hosts: scope.hosts.iter().map(|host| egress(host, own)).collect(),
    }
}

fn egress_proxy(proxy: &EgressProxy) -> v1::EgressProxy {
    v1::EgressProxy {
        host: proxy.host.to_string(),
        subset: proxy.subset.clone(),
        port: proxy.port.unwrap_or_default().into(),
    }
}

fn listener(listener: &IngressListener) -> v1::IngressListener {
    v1::IngressListener {
        port: listener.port.into(),
        protocol: v1::Protocol::from(listener.protocol).into(),
        name: listener.name.clone(),
        bind: listener.bind.map(|bind| bind.to_string()).unwrap_or_default(),
        default_endpoint: listener.default_endpoint.clone(),
        connection_pool: listener.connection_pool.as_ref().map(json).unwrap_or_default(),
        tls: listener.tls.as_ref().map(json).unwrap_or_default(),
    }
}
