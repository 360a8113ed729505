//! From resources to records: one module a kind. What cannot be used is refused with a reason.

mod access;
mod authorization_policy;
mod destination_rule;
mod extension_providers;
mod gateway_api;
mod peer_authentication;
mod request_authentication;
mod secret;
mod service;
mod service_entry;
mod sidecar;
mod targets;
mod time;
mod virtual_service;
mod workload_entry;

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_api::rbac::GROUP as RBAC;
use meltemi_api::values::Duration;
use meltemi_api::{ENDPOINT_SUBSET, Resource};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, DEFAULT_TRUST_DOMAIN, TrustDomain};
use meltemi_policy::route::check;
use meltemi_policy::route::rule::VirtualService;
pub use peer_authentication::peer_authentication;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use time::seconds;

pub use self::extension_providers::extension_providers;

use crate::model::Change;
use crate::record::{Object, ObjectKind, Record};
use crate::settings::Settings;

/// The kind of a resource that has an effect on the model, by API group and plural word.
pub fn kind(group: &str, plural: &str) -> Option<ObjectKind> {
    match (group, plural) {
        ("", "services") => Some(ObjectKind::Service),
        ("", "secrets") => Some(ObjectKind::Secret),
        (RBAC, "roles") => Some(ObjectKind::Role),
        (RBAC, "rolebindings") => Some(ObjectKind::RoleBinding),
        ("networking.istio.io", "serviceentries") => Some(ObjectKind::ServiceEntry),
        ("networking.istio.io", "workloadentries") => Some(ObjectKind::WorkloadEntry),
        ("networking.istio.io", "virtualservices") => Some(ObjectKind::VirtualService),
        ("networking.istio.io", "destinationrules") => Some(ObjectKind::DestinationRule),
        ("networking.istio.io", "sidecars") => Some(ObjectKind::Sidecar),
        (gateway_api::GROUP, "httproutes") => Some(ObjectKind::HttpRoute),
        (gateway_api::GROUP, "grpcroutes") => Some(ObjectKind::GrpcRoute),
        (gateway_api::GROUP, "referencegrants") => Some(ObjectKind::ReferenceGrant),
        ("security.istio.io", "requestauthentications") => Some(ObjectKind::RequestAuthentication),
        ("security.istio.io", "peerauthentications") => Some(ObjectKind::PeerAuthentication),
        ("security.istio.io", "authorizationpolicies") => Some(ObjectKind::AuthorizationPolicy),
        _ => None,
    }
}

/// Reads a resource that is new or changed.
pub fn change(object: Object, resource: &Value, settings: &Settings) -> Change {
    match read(&object, resource, settings) {
        Ok(record) => Change::Put(object, record),
        Err(reason) => Change::Refuse(object, reason),
    }
}

fn read(object: &Object, resource: &Value, settings: &Settings) -> Result<Record, String> {
    Ok(match object.kind {
        ObjectKind::Service => Record::Service(service::read(object, resource, settings)?),
        ObjectKind::ServiceEntry => {
            Record::Service(service_entry::read(object, resource, settings)?)
        }
        ObjectKind::WorkloadEntry => Record::Workload(workload_entry::read(object, resource)?),
        ObjectKind::VirtualService => {
            Record::VirtualService(virtual_service::read(object, resource, settings)?)
        }
        ObjectKind::DestinationRule => {
            Record::DestinationRule(destination_rule::read(object, resource, settings)?)
        }
        ObjectKind::Sidecar => Record::Sidecar(sidecar::read(object, resource, settings)?),
        ObjectKind::AuthorizationPolicy => {
            Record::AuthorizationPolicy(authorization_policy::read(object, resource, settings)?)
        }
        ObjectKind::HttpRoute => {
            Record::Route(gateway_api::http_route::read(object, resource, settings)?)
        }
        ObjectKind::GrpcRoute => {
            Record::Route(gateway_api::grpc_route::read(object, resource, settings)?)
        }
        ObjectKind::ReferenceGrant => {
            Record::ReferenceGrant(gateway_api::reference_grant::read(resource)?)
        }
        ObjectKind::PeerAuthentication => {
            Record::PeerAuthentication(peer_authentication::read(resource)?)
        }
        ObjectKind::RequestAuthentication => {
            Record::RequestAuthentication(request_authentication::read(object, resource, settings)?)
        }
        ObjectKind::Secret => Record::Secret(secret::read(resource)?),
        ObjectKind::Role => Record::Role(access::role(resource)?),
        ObjectKind::RoleBinding => Record::RoleBinding(access::binding(object, resource)?),
    })
}

/// A resource by its type of the API, checked by all of its rules.
fn checked(resource: &Value) -> Result<Resource, String> {
    Resource::from_value(resource.clone()).map_err(|findings| {
        let errors = findings.iter().filter(|finding| finding.is_error());
        errors.map(|it| format!("{}: {}", it.path, it.message)).collect::<Vec<_>>().join("; ")
    })
}

/// Compiles rules as sidecars do. A rule that one of them would refuse makes all of a service's hosts unknown to it, so that
/// such a rule is set aside here. `counts` says which of the rules for requests say themselves where those go.
fn check_rules(rules: &VirtualService, counts: impl Fn(usize) -> bool) -> Result<(), String> {
    let http = rules.http.iter().enumerate().filter(|(at, _)| counts(*at));
    let http = http.map(|(_, rule)| rule.clone()).collect();
    let error = check(&Arc::new(VirtualService { http, ..rules.clone() })).err();
    error.map_or(Ok(()), |error| Err(format!("spec.{}: {}", error.at, error.problem)))
}

/// Whether sidecars can use an object as it would be stored; always so for kinds that they get no routes of. What a field
/// must be `meltemi_api` tells with its place: this asks the code itself that sidecars run.
///
/// # Errors
/// What is wrong, and where.
pub fn check_routes(group: &str, plural: &str, resource: &Value) -> Result<(), String> {
    let Some(kind) = kind(group, plural) else {
        return Ok(());
    };
    if !matches!(kind, ObjectKind::VirtualService | ObjectKind::HttpRoute | ObjectKind::GrpcRoute) {
        return Ok(());
    }
    let text = |field: &str| resource["metadata"][field].as_str().unwrap_or_default();
    let object = Object::new(kind, text("namespace"), text("name"));
    // Routes are the same, and as usable, in a mesh of any trust domain.
    let domain: TrustDomain = DEFAULT_TRUST_DOMAIN.parse().map_err(|it| format!("{it}"))?;
    read(&object, resource, &Settings::new(domain, DEFAULT_DOMAIN_SUFFIX)).map(drop)
}

/// A duration of the API in milliseconds; one that is not zero never becomes zero.
fn millis(given: Duration) -> u64 {
    let millis = given.0.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// A number of Istio's that stands for "not said" where it is 0.
fn count(given: i32) -> Option<u32> {
    u32::try_from(given).ok().filter(|number| *number > 0)
}

/// The parts of metadata that have an effect.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// How many endpoints one client is sent.
    fn endpoint_subset(&self) -> Result<Option<usize>, String> {
        meltemi_api::endpoint_subset(&self.annotations)
            .map_err(|reason| format!("metadata.annotations[{ENDPOINT_SUBSET}]: {reason}"))
    }
}

/// A part of a resource; one that is missing is empty.
fn part<T: DeserializeOwned + Default>(resource: &Value, name: &str) -> Result<T, String> {
    match &resource[name] {
        Value::Null => Ok(T::default()),
        value => T::deserialize(value).map_err(|error| format!("{name}: {error}")),
    }
}

/// A port's number, or why it is none.
fn port(number: u32, field: &str) -> Result<u16, String> {
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{field}: {number} is not a port (1 to 65535)"))
}

#[cfg(test)]
mod tests;
