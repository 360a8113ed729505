//! Destination rules that have callers come otherwise than the called workloads take them.

use meltemi_api::{Kind, Severity};
use meltemi_model::{Service, Settings, Snapshot};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, DEFAULT_TRUST_DOMAIN};
use meltemi_policy::destination::Chosen;
use meltemi_policy::destination::rule::{
    ClientTls, ClientTlsMode, DestinationRule, Subset, TrafficPolicy,
};
use meltemi_policy::peer::Mode;

use super::super::finding::{Code, Finding};
use super::super::mesh::{Mesh, Object};
use crate::model;

/// Tells of them: of each field once, with the first workload that refuses such calls.
pub(super) fn check(mesh: &Mesh, findings: &mut Vec<Finding>) {
    if mesh.of(Kind::DestinationRule).is_empty() {
        return;
    }
    let Ok(domain) = DEFAULT_TRUST_DOMAIN.parse() else { return };
    let settings = Settings::new(domain, DEFAULT_DOMAIN_SUFFIX);
    let objects = mesh.objects().map(|it| (it.resource.kind(), &it.value));
    let snapshot = model::of(objects, settings);
    let mut services: Vec<_> = snapshot.services().collect();
    services.sort_unstable_by_key(|it| it.host.as_str());
    for object in mesh.of(Kind::DestinationRule) {
        let mut told = Vec::new();
        for service in &services {
            if let Some(rule) = rule_of(object, service) {
                conflicts(&snapshot, service, rule, &mut told);
            }
        }
        told.dedup_by(|next, first| next.0 == first.0);
        findings.extend(told.into_iter().map(|(path, message)| {
            let what = (Severity::Warning, Code::MTLSPolicyConflict);
            Finding::of(&object.resource, path, what, message)
        }));
    }
}

/// What the object says of a service that it covers.
fn rule_of<'s>(object: &Object, service: &'s Service) -> Option<&'s DestinationRule> {
    let metadata = object.resource.metadata();
    let is_it = |rule: &&DestinationRule| {
        rule.namespace == metadata.namespace && rule.name == metadata.name
    };
    service.rules.destination_rules.iter().map(|it| &**it).find(is_it)
}

/// Fields of the rule that lead to calls which are refused, in the order of the rule.
fn conflicts(
    snapshot: &Snapshot,
    service: &Service,
    rule: &DestinationRule,
    told: &mut Vec<(String, String)>,
) {
    let chosen = Chosen {
        from: Vec::new(),
        traffic_policy: rule.traffic_policy.clone(),
        subsets: rule.subsets.clone(),
    };
    let subsets = rule.subsets.iter().enumerate().map(Some);
    for subset in std::iter::once(None).chain(subsets) {
        for port in service.ports.iter() {
            let name = subset.map(|(_, it)| it.name.as_str());
            let Some(tls) = chosen.policy(port.number, name).tls else { continue };
            let refusing = refusing(snapshot, service, port.number, subset, tls.mode);
            let Some((workload, mode)) = refusing else { continue };
            let how = match tls.mode {
                ClientTlsMode::Disable => "in plaintext",
                ClientTlsMode::Simple | ClientTlsMode::Mutual => "by TLS that is not the mesh's",
                ClientTlsMode::IstioMutual => "by mutual TLS",
            };
            let message = format!(
                "{}:{} is called {how}, which its workload {workload} refuses: PeerAuthentication has {} there",
                service.host,
                port.number,
                mode.as_str()
            );
            told.push((field(rule, port.number, subset, &tls), message));
        }
    }
}

/// The first workload that is called at a port and takes no such calls.
fn refusing(
    snapshot: &Snapshot,
    service: &Service,
    port: u16,
    subset: Option<(usize, &Subset)>,
    tls: ClientTlsMode,
) -> Option<(String, Mode)> {
    let is_of_subset = |labels: &std::collections::BTreeMap<String, String>| {
        subset.is_none_or(|(_, subset)| {
            subset.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let with_sidecar = service.endpoints.values().filter(|it| it.mutual_tls.is_some());
    with_sidecar.filter(|it| is_of_subset(&it.labels)).find_map(|endpoint| {
        let workload = snapshot.workload(&endpoint.namespace, &endpoint.workload)?;
        let is_called =
            |it: &&meltemi_model::InboundPort| it.service_port == port && it.host == service.host;
        let mode = workload.inbound.iter().find(is_called)?.mode;
        let is_taken = match tls {
            ClientTlsMode::IstioMutual => mode.takes_mutual_tls(),
            _ => mode.takes_plaintext(),
        };
        (!is_taken).then(|| (format!("{}/{}", workload.namespace, workload.name), mode))
    })
}

/// Where the rule says it.
fn field(
    rule: &DestinationRule,
    port: u16,
    subset: Option<(usize, &Subset)>,
    tls: &ClientTls,
) -> String {
    let whole = rule.traffic_policy.as_ref().map(|it| ("spec.trafficPolicy".to_owned(), it));
    let part = subset.and_then(|(at, subset)| {
        Some((format!("spec.subsets[{at}].trafficPolicy"), subset.traffic_policy.as_ref()?))
    });
    let said = |(path, policy): (String, &TrafficPolicy)| {
        let settings = &policy.port_level_settings;
        match settings.iter().position(|it| it.port == port) {
            Some(at) if settings[at].tls.as_ref() == Some(tls) => {
                Some(format!("{path}.portLevelSettings[{at}].tls.mode"))
            }
            None if policy.tls.as_ref() == Some(tls) => Some(format!("{path}.tls.mode")),
            _ => None,
        }
    };
    part.into_iter().chain(whole).find_map(said).unwrap_or_default()
}
