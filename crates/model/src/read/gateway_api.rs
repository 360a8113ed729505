//! Routes of the Gateway API: what they are attached to, whom they lead to. Each becomes rules of the very kind that a
//! `VirtualService` becomes.

pub(super) mod grpc_route;
pub(super) mod http_route;
pub(super) mod reference_grant;

mod filters;

use std::collections::BTreeMap;

use meltemi_api::gateway_api::http_route::{
    HeaderMatch, HttpBackendRef, HttpFilter, TextMatchType,
};
use meltemi_api::gateway_api::reference::{BackendObjectReference, ParentReference};
use meltemi_api::metadata::ObjectMeta;
use meltemi_names::{Host, service_host};
use meltemi_policy::route::rule::{
    Action, Destination, HttpMatch, HttpRoute, HttpRouteDestination, StringMatch, VirtualService,
};

use serde_json::Value;

use self::filters::Filters;
use super::check_rules;
use crate::record::{Object, ObjectKind};
use crate::routes::{Backend, Parent, ParentOf, Rank, RankedRule, Referent, RouteRecord};
use crate::settings::Settings;

/// The API group.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";
/// That of Istio's kinds.
const ISTIO: &str = "networking.istio.io";

/// A route on its way to a record.
struct Reader<'a> {
    object: &'a Object,
    suffix: &'a str,
    record: RouteRecord,
}

/// A rule of a route; that of the two kinds differs in its matches alone.
struct Rule<'a> {
    name: Option<&'a str>,
    matches: Vec<(Rank, HttpMatch)>,
    filters: &'a [HttpFilter],
    backends: &'a [HttpBackendRef],
    /// The rule but for what the other fields say.
    base: HttpRoute,
}

impl<'a> Reader<'a> {
    fn new(object: &'a Object, settings: &'a Settings, metadata: &ObjectMeta) -> Self {
        let record = RouteRecord {
            created: metadata.creation_timestamp.clone(),
            generation: metadata.generation.try_into().unwrap_or_default(),
            ..RouteRecord::default()
        };
        Reader { object, suffix: &settings.suffix, record }
    }

    /// The record; of a route that is attached to nothing of the mesh there is nothing to tell.
    fn finish(self) -> Result<RouteRecord, String> {
        let http = self.record.rules.iter().map(|it| it.rule.clone()).collect();
        check_rules(&VirtualService { http, ..VirtualService::default() }, |_| true)?;
        Ok(match self.record.parents.is_empty() {
            true => RouteRecord {
                created: self.record.created,
                generation: self.record.generation,
                ..RouteRecord::default()
            },
            false => self.record,
        })
    }

    /// Reads the parents; `resource` is the route as it was written, since its status is to name them in the same words.
    fn parents(&mut self, given: &[ParentReference], resource: &Value) {
        for (at, parent) in given.iter().enumerate() {
            let namespace = parent.namespace.as_deref().unwrap_or(&self.object.namespace);
            let kind = parent.kind.as_deref().unwrap_or_default();
            let of = match (parent.group.as_deref(), kind) {
                (Some(""), "Service") => match self.host(&parent.name, namespace) {
                    Ok(host) => ParentOf::Host(host),
                    Err(reason) => {
                        self.record.flaws.push(format!("spec.parentRefs[{at}].{reason}"));
                        continue;
                    }
                },
                (Some(ISTIO), "ServiceEntry") => {
                    ParentOf::Entry(Object::new(ObjectKind::ServiceEntry, namespace, &parent.name))
                }
                _ => continue,
            };
            let port = parent.port.as_ref().map(|port| port.number());
            self.record.parents.push(Parent { of, namespace: namespace.into(), port });
            self.record.given.push(resource["spec"]["parentRefs"][at].clone());
        }
    }

    fn host(&self, name: &str, namespace: &str) -> Result<Host, String> {
        let host = service_host(name, namespace, self.suffix);
        host.parse().map_err(|error| format!("name: {error}"))
    }

    fn rule(&mut self, at: usize, given: Rule<'_>) {
        let path = format!("spec.rules[{at}]");
        let Object { namespace, name, .. } = self.object;
        let own = given.name.map_or_else(|| at.to_string(), str::to_owned);
        let Filters { headers, mirrors, redirect, rewrite, cors_policy, unusable } =
            self.filters(&path, given.filters);
        let action = match (unusable, redirect) {
            (Some(reason), _) => Action::Route(vec![nobody(reason)]),
            (None, Some(redirect)) => Action::Redirect(redirect),
            (None, None) => Action::Route(self.backends(&path, given.backends)),
        };
        let rule = HttpRoute {
            name: format!("{namespace}.{name}.{own}"),
            action,
            headers,
            mirrors,
            rewrite,
            cors_policy,
            ..given.base
        };
        self.record.rules.extend(given.matches.into_iter().map(|(rank, one)| RankedRule {
            rank,
            rule: HttpRoute { matches: vec![one], ..rule.clone() },
        }));
    }

    /// The backends that have a share. Where there are none, requests are answered with an error, as Istio has it.
    fn backends(&mut self, path: &str, given: &[HttpBackendRef]) -> Vec<HttpRouteDestination> {
        let mut found = Vec::new();
        for (at, backend) in given.iter().enumerate() {
            let weight = backend.weight.map_or(1, |weight| weight.try_into().unwrap_or_default());
            let path = format!("{path}.backendRefs[{at}]");
            if weight > 0 {
                found.push(HttpRouteDestination { weight, ..self.backend(&path, backend) });
            }
        }
        if found.is_empty() {
            found.push(nobody("the route names no backend that has a share".into()));
        }
        found
    }

    fn backend(&mut self, path: &str, given: &HttpBackendRef) -> HttpRouteDestination {
        let filters = self.filters(path, &given.filters);
        let (headers, unusable) = filters.of_backend(path, &mut self.record);
        match self.destination(path, &given.backend) {
            Ok(destination) => HttpRouteDestination { destination, headers, unusable, weight: 0 },
            Err(reason) => {
                self.record.flaws.push(format!("{path}: {reason}"));
                nobody(reason)
            }
        }
    }

    /// Whom a reference names: a service, or with Istio's kind `Hostname` any host.
    fn destination(
        &mut self,
        path: &str,
        given: &BackendObjectReference,
    ) -> Result<Destination, String> {
        let to = self.called(given);
        self.record.backends.push(Backend { path: path.to_owned(), to: to.clone() });
        let (host, port) = to?;
        Ok(Destination { host: host.to_string(), subset: None, port })
    }

    fn called(&mut self, given: &BackendObjectReference) -> Result<(Host, Option<u16>), String> {
        let own = &self.object.namespace;
        let group = given.group.as_deref().unwrap_or_default();
        let host = match (group, given.kind.as_deref().unwrap_or("Service")) {
            ("", "Service") => {
                let namespace = given.namespace.as_deref().unwrap_or(own);
                let host = self.host(&given.name, namespace)?;
                if namespace != &**own {
                    let name = given.name.as_str().into();
                    let referent = Referent { namespace: namespace.into(), name };
                    self.record.foreign.insert(host.to_string(), referent);
                }
                host
            }
            (ISTIO, "Hostname") => {
                given.name.parse::<Host>().map_err(|error| format!("name: {error}"))?
            }
            (group, kind) => {
                let group = if group.is_empty() { "core" } else { group };
                return Err(format!("backends of kind {kind} (group {group}) cannot be called"));
            }
        };
        Ok((host, given.port.as_ref().map(|port| port.number())))
    }
}

/// A share of requests for which nobody is called.
fn nobody(reason: String) -> HttpRouteDestination {
    HttpRouteDestination { unusable: Some(reason), weight: 1, ..HttpRouteDestination::default() }
}

fn text(kind: Option<TextMatchType>, value: &str) -> StringMatch {
    match kind {
        Some(TextMatchType::RegularExpression) => StringMatch::Regex(value.to_owned()),
        Some(TextMatchType::Exact) | None => StringMatch::Exact(value.to_owned()),
    }
}

/// Names of headers have no case.
fn headers(given: &[HeaderMatch]) -> BTreeMap<String, StringMatch> {
    let read = |it: &HeaderMatch| (it.name.to_ascii_lowercase(), text(it.r#type, &it.value));
    given.iter().map(read).collect()
}

fn number(count: usize) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
