//! A `VirtualService`.

mod action;
mod base64;
mod fault;
mod matches;

use std::collections::BTreeMap;

use meltemi_api::Resource;
use meltemi_api::istio::virtual_service as api;
use meltemi_names::{Host, expand_host};
use meltemi_policy::route::rule::{
    Action, Api, CorsPolicy, Destination, HttpRoute, HttpRouteDestination, MESH, Mirror,
    Percentage, RetryRule, RouteDestination, TcpMatch, TcpRoute, TlsMatch, TlsRoute,
    UnmatchedPreflights, VirtualService,
};
use serde_json::Value;

use super::time::seconds;
use super::{check_rules, checked, millis};
use crate::record::{Object, ObjectKind};
use crate::routes::VirtualServiceRecord;
use crate::settings::Settings;

/// The namespace and the DNS suffix by which names of the resource are made full.
#[derive(Clone, Copy)]
struct Reader<'a> {
    namespace: &'a str,
    suffix: &'a str,
}

/// Reads a virtual service; hosts and gateways by their full names.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<VirtualServiceRecord, String> {
    let Resource::VirtualService(resource) = checked(resource)? else {
        return Err("it is not a VirtualService".into());
    };
    let reader = Reader { namespace: &object.namespace, suffix: &settings.suffix };
    let api::VirtualServiceSpec { hosts, gateways, http, tls, tcp, export_to } = resource.spec;
    let hosts = hosts.iter().enumerate().map(|(at, host)| {
        let host = expand_host(host, reader.namespace, reader.suffix);
        host.parse::<Host>().map_err(|error| format!("spec.hosts[{at}]: {error}"))
    });
    let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
    let created = resource.metadata.creation_timestamp;
    let delegates = reader.delegates(&http);
    let http = http.into_iter().enumerate().map(|(at, route)| {
        reader.http_route(route).map_err(|reason| format!("spec.http[{at}].{reason}"))
    });
    let default_export_to = || settings.export_to.virtual_services.clone();
    let rule = VirtualService {
        name: object.name.to_string(),
        namespace: object.namespace.to_string(),
        api: Api::Istio,
        created: seconds(&created).unwrap_or_default(),
        hosts: hosts.iter().map(Host::to_string).collect(),
        export_to: if export_to.is_empty() { default_export_to() } else { export_to },
        gateways: reader.gateways(&gateways),
        http: http.collect::<Result<_, _>>()?,
        tls: tls.into_iter().map(|route| reader.tls_route(route)).collect(),
        tcp: tcp.into_iter().map(|route| reader.tcp_route(route)).collect(),
    };
    check_rules(&rule, |at| !delegates.contains_key(&at))?;
    Ok(VirtualServiceRecord { created, hosts, rule, delegates })
}

impl Reader<'_> {
    fn http_route(self, given: api::HttpRoute) -> Result<HttpRoute, String> {
        let mirrors = self.mirrors(&given);
        let fault = given.fault.map(fault::read).transpose().map_err(|it| format!("fault.{it}"))?;
        let matches = given.matches.into_iter();
        Ok(HttpRoute {
            name: given.name,
            matches: matches.map(|it| self.http_match(it)).collect(),
            action: match (given.redirect, given.direct_response) {
                (Some(redirect), _) => Action::Redirect(action::redirect(redirect)),
                (None, Some(response)) => Action::DirectResponse(action::direct_response(response)),
                (None, None) => Action::Route(
                    given.route.into_iter().map(|it| self.http_destination(it)).collect(),
                ),
            },
            rewrite: given.rewrite.map(action::rewrite),
            timeout_ms: given.timeout.map(millis),
            retries: given.retries.map(retries),
            fault: fault.unwrap_or_default(),
            mirrors,
            cors_policy: given.cors_policy.map(cors_policy),
            headers: action::headers(given.headers),
            missing_status: None,
        })
    }

    fn http_destination(self, given: api::HttpRouteDestination) -> HttpRouteDestination {
        HttpRouteDestination {
            destination: self.destination(&given.destination),
            weight: weight(given.weight),
            headers: action::headers(given.headers),
            unusable: None,
        }
    }

    fn destination(self, given: &api::Destination) -> Destination {
        Destination {
            host: self.full_host(&given.host),
            subset: Some(given.subset.clone()).filter(|subset| !subset.is_empty()),
            port: given.port.and_then(|port| port.number).map(|port| port.number()),
        }
    }

    fn mirrors(self, given: &api::HttpRoute) -> Vec<Mirror> {
        let percent = |it: &Option<api::Percent>| match it {
            Some(percent) => Percentage::from_percent(percent.value),
            None => Percentage::ALL,
        };
        let old = given.mirror_percent.or(given.old_mirror_percent);
        let percentage = match (given.mirror_percentage, old) {
            (None, Some(old)) => Percentage::from_percent(f64::from(old)),
            (percentage, _) => percent(&percentage),
        };
        let one = given.mirror.iter().map(|to| (to, percentage));
        let many = given.mirrors.iter().map(|it| (&it.destination, percent(&it.percentage)));
        let all = one.chain(many);
        all.map(|(to, percentage)| Mirror { destination: self.destination(to), percentage })
            .collect()
    }

    fn tls_route(self, given: api::TlsRoute) -> TlsRoute {
        let matches = given.matches.into_iter().map(|it| TlsMatch {
            sni_hosts: it.sni_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            destination_subnets: it.destination_subnets,
            port: it.port.map(|port| port.number()),
            source_labels: it.source_labels,
            source_namespace: said(it.source_namespace),
            gateways: self.gateways(&it.gateways),
        });
        TlsRoute { matches: matches.collect(), route: self.connections(&given.route) }
    }

    fn tcp_route(self, given: api::TcpRoute) -> TcpRoute {
        let matches = given.matches.into_iter().map(|it| TcpMatch {
            destination_subnets: it.destination_subnets,
            port: it.port.map(|port| port.number()),
            source_labels: it.source_labels,
            source_namespace: said(it.source_namespace),
            gateways: self.gateways(&it.gateways),
        });
        TcpRoute { matches: matches.collect(), route: self.connections(&given.route) }
    }

    fn connections(self, given: &[api::RouteDestination]) -> Vec<RouteDestination> {
        let read = given.iter().map(|it| RouteDestination {
            destination: self.destination(&it.destination),
            weight: weight(it.weight),
        });
        read.collect()
    }

    /// The virtual services to which routes delegate, by the place of the route.
    fn delegates(self, routes: &[api::HttpRoute]) -> BTreeMap<usize, Object> {
        let delegates = routes.iter().enumerate().filter_map(|(at, route)| {
            let api::Delegate { name, namespace } = route.delegate.as_ref()?;
            let namespace = if namespace.is_empty() { self.namespace } else { namespace };
            Some((at, Object::new(ObjectKind::VirtualService, namespace, name)))
        });
        delegates.collect()
    }

    /// Gateways as `NAMESPACE/NAME`.
    fn gateways(self, given: &[String]) -> Vec<String> {
        let full = given.iter().map(|gateway| match gateway.split_once('/') {
            None if gateway == MESH => MESH.to_owned(),
            None => format!("{}/{gateway}", self.namespace),
            Some((".", name)) => format!("{}/{name}", self.namespace),
            Some(_) => gateway.clone(),
        });
        full.collect()
    }

    fn full_host(self, given: &str) -> String {
        let host = expand_host(given, self.namespace, self.suffix);
        host.strip_suffix('.').unwrap_or(&host).to_owned()
    }
}

fn retries(given: api::Retry) -> RetryRule {
    RetryRule {
        attempts: given.attempts.try_into().unwrap_or_default(),
        per_try_timeout_ms: given.per_try_timeout.map(millis),
        retry_on: given.retry_on,
        retry_remote_localities: given.retry_remote_localities.unwrap_or_default(),
        retry_ignore_previous_hosts: given.retry_ignore_previous_hosts,
        backoff_ms: given.backoff.map(millis),
    }
}

fn cors_policy(given: api::CorsPolicy) -> CorsPolicy {
    use meltemi_policy::route::rule::StringMatch;
    // The new form goes before the old one.
    let allow_origins = match given.allow_origins.is_empty() {
        true => given.allow_origin.into_iter().map(StringMatch::Exact).collect(),
        false => given.allow_origins.into_iter().map(matches::string).collect(),
    };
    CorsPolicy {
        allow_origins,
        allow_methods: given.allow_methods,
        allow_headers: given.allow_headers,
        expose_headers: given.expose_headers,
        max_age_s: given.max_age.map(|age| age.0.as_secs()),
        allow_credentials: given.allow_credentials.unwrap_or_default(),
        unmatched_preflights: match given.unmatched_preflights {
            Some(api::UnmatchedPreflights::Ignore) => UnmatchedPreflights::Ignore,
            Some(api::UnmatchedPreflights::Forward | api::UnmatchedPreflights::Unspecified)
            | None => UnmatchedPreflights::Forward,
        },
    }
}

/// A share; those below 0 were refused before.
fn weight(given: i32) -> u32 {
    given.try_into().unwrap_or_default()
}

fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
