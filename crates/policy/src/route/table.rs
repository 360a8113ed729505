//! The rules of one host, compiled for one proxy: what is not for it is left out here, once, and never looked at
//! again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connections::Connections;
use super::error::{CompileError, Flaw};
use super::http_table::HttpTable;
use super::rule::{Api, MESH, VirtualService};

/// The proxy that compiles rules for itself.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its workload's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The gateway that it is, `NAMESPACE/NAME`, or `mesh` for a sidecar.
    pub gateway: &'a str,
}

/// The rules of one host.
#[derive(Debug)]
pub struct Table {
    /// The virtual services that they are of.
    pub virtual_services: Box<[Arc<VirtualService>]>,
    /// Those for requests. None where there are none: then requests go to the host itself. If there are, a request
    /// that none of them matches goes nowhere (404, Envoy's `NR`).
    pub http: Option<HttpTable>,
    /// Those for connections. A connection that none of them matches goes to the host itself.
    pub connections: Connections,
}

/// Whose matches are compiled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Those that can count for one proxy.
    Of(&'a Caller<'a>),
    /// All, so that every flaw is found.
    Everyone,
}

/// Whether every proxy can compile the rules, whoever it is: what a control plane asks before it hands them out.
///
/// # Errors
/// The first flaw.
pub fn check(service: &Arc<VirtualService>) -> Result<(), CompileError> {
    HttpTable::compile(&[service], Scope::Everyone).map_err(error)?;
    Connections::compile(&[service], Scope::Everyone).map_err(error)?;
    Ok(())
}

impl Table {
    /// Compiles what counts of the rules for a host, which come in Istio's order: for a sidecar the first virtual
    /// service that it sees, but routes of the Gateway API in its own namespace before all; for a gateway all for the
    /// same host one after the other. `None` where nothing is for this proxy.
    pub fn compile(
        host: &str,
        services: &[Arc<VirtualService>],
        caller: &Caller<'_>,
    ) -> Result<Option<Table>, CompileError> {
        let chosen = choose(host, services, caller);
        if chosen.is_empty() {
            return Ok(None);
        }
        let has_http = chosen.iter().any(|service| !service.http.is_empty());
        let http = has_http.then(|| HttpTable::compile(&chosen, Scope::Of(caller))).transpose();
        Ok(Some(Table {
            // A sidecar that no match is for calls the host as if there were no rules; a gateway has nothing but its rules.
            http: http.map_err(error)?.filter(|it| !it.is_empty() || caller.gateway != MESH),
            connections: Connections::compile(&chosen, Scope::Of(caller)).map_err(error)?,
            virtual_services: chosen.into_iter().cloned().collect(),
        }))
    }
}

fn choose<'s>(
    host: &str,
    services: &'s [Arc<VirtualService>],
    caller: &Caller<'_>,
) -> Vec<&'s Arc<VirtualService>> {
    let mut chosen: Vec<&Arc<VirtualService>> = services
        .iter()
        .filter(|it| it.is_visible_to(caller.namespace) && it.binds_to(caller.gateway))
        .collect();
    let Some(first) = chosen.first() else {
        return chosen;
    };
    if caller.gateway == MESH {
        let is_own =
            |it: &&&Arc<VirtualService>| it.api == Api::Gateway && it.namespace == caller.namespace;
        let counts = chosen.iter().find(is_own).copied().unwrap_or(first);
        return vec![counts];
    }
    let most_specific = covering(first, host);
    chosen.retain(|it| covering(it, host) == most_specific);
    chosen
}

/// The most specific of a virtual service's hosts that covers the given one, which may itself have a wildcard.
fn covering<'s>(service: &'s VirtualService, host: &str) -> Option<&'s str> {
    let covers = |own: &&String| match own.strip_prefix('*') {
        None => own.eq_ignore_ascii_case(host),
        Some(end) => {
            let start = host.len().checked_sub(end.len());
            own.eq_ignore_ascii_case(host)
                || start
                    .and_then(|start| host.get(start..))
                    .is_some_and(|it| host.len() > end.len() && it.eq_ignore_ascii_case(end))
        }
    };
    let all = service.hosts.iter().filter(covers);
    all.max_by_key(|own| (!own.starts_with('*'), own.len())).map(String::as_str)
}

fn error((service, flaw): (Arc<VirtualService>, Flaw)) -> CompileError {
    CompileError {
        api: service.api,
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        at: flaw.at,
        problem: flaw.problem.into(),
    }
}

impl Scope<'_> {
    /// Whether a match that names gateways, labels of callers and their namespace is to be compiled.
    pub(super) fn fits(
        self,
        gateways: &[String],
        labels: &BTreeMap<String, String>,
        namespace: Option<&str>,
    ) -> bool {
        match self {
            Scope::Of(caller) => caller.fits(gateways, labels, namespace),
            Scope::Everyone => true,
        }
    }
}

impl Caller<'_> {
    /// Whether a match that names gateways, labels of callers and their namespace is for this proxy. Callers count
    /// for sidecars, and for a gateway that the match does not name.
    fn fits(
        &self,
        gateways: &[String],
        labels: &BTreeMap<String, String>,
        namespace: Option<&str>,
    ) -> bool {
        let is_named = gateways.iter().any(|it| it == self.gateway);
        if !gateways.is_empty() && (!is_named || self.gateway != MESH) {
            return is_named;
        }
        namespace.is_none_or(|it| it.is_empty() || it == self.namespace)
            && labels.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}
