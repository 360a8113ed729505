//! What of a destination rule's policies holds for one port and subset, as Istio merges them.

use super::choose::{Caller, choose};
use super::rule::{DestinationRule, TrafficPolicy};

/// How a caller treats a port of a service, or of a subset of it: [`choose`], then
/// [`Chosen::policy`](super::Chosen::policy). The rules are those whose hosts cover the service.
pub fn effective(
    rules: &[DestinationRule],
    caller: &Caller<'_>,
    service_namespace: &str,
    port: u16,
    subset: Option<&str>,
) -> TrafficPolicy {
    choose(rules, caller, service_namespace).policy(port, subset)
}

/// A policy as one port has it, and whether the port has settings of its own. Those replace all of the four sections that
/// they may set, also by leaving them out. What settings of a port cannot say (tunnel, PROXY protocol, retry budget) stays.
pub(super) fn by_port(policy: &TrafficPolicy, port: u16) -> (TrafficPolicy, bool) {
    let settings = policy.port_level_settings.iter().find(|settings| settings.port == port);
    let mut own = TrafficPolicy { port_level_settings: Vec::new(), ..policy.clone() };
    if let Some(settings) = settings {
        own.load_balancer.clone_from(&settings.load_balancer);
        own.connection_pool.clone_from(&settings.connection_pool);
        own.outlier_detection.clone_from(&settings.outlier_detection);
        own.tls.clone_from(&settings.tls);
    }
    (own, settings.is_some())
}

/// Lays a subset's policy over that of the whole: each section that it sets replaces the whole's; settings of a port replace
/// all four.
pub(super) fn overlay(whole: TrafficPolicy, part: &TrafficPolicy, port: u16) -> TrafficPolicy {
    let (part, is_of_port) = by_port(part, port);
    fn pick<T>(part: Option<T>, whole: Option<T>, is_of_port: bool) -> Option<T> {
        if is_of_port { part } else { part.or(whole) }
    }
    TrafficPolicy {
        load_balancer: pick(part.load_balancer, whole.load_balancer, is_of_port),
        connection_pool: pick(part.connection_pool, whole.connection_pool, is_of_port),
        outlier_detection: pick(part.outlier_detection, whole.outlier_detection, is_of_port),
        tls: pick(part.tls, whole.tls, is_of_port),
        port_level_settings: Vec::new(),
        tunnel: part.tunnel.or(whole.tunnel),
        proxy_protocol: part.proxy_protocol.or(whole.proxy_protocol),
        retry_budget: part.retry_budget.or(whole.retry_budget),
    }
}

#[cfg(test)]
mod tests;
