//! `VirtualService`: where requests and connections to hosts go.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{check_export_to, check_gateway};
use super::status::Status;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::{Port, form};

mod fault;
mod http;
mod http_match;

pub use fault::{Abort, Delay, Fault, Percent, grpc_code};
pub use http::{
    BodyContent, CorsPolicy, Delegate, DirectResponse, HeaderOperations, Headers, HttpRoute,
    HttpRouteDestination, Mirror, Redirect, RedirectPort, RegexRewrite, Retry, Rewrite,
    UnmatchedPreflights,
};
pub use http_match::{HttpMatch, StringMatch};

/// Where requests and connections to hosts go.
pub type VirtualService = Object<VirtualServiceSpec, Status>;

/// The gateway that stands for all sidecars.
const MESH: &str = "mesh";

/// Where requests and connections to hosts go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// The hosts, perhaps with `*.` before them; none in one that others delegate to.
    #[schemars(with = "Vec<form::Host>")]
    pub hosts: Vec<String>,
    /// The gateways, `[NAMESPACE/]NAME`, and `mesh` for all sidecars; `mesh` where it is left out.
    pub gateways: Vec<String>,
    /// Rules for requests, the first that matches counts.
    pub http: Vec<HttpRoute>,
    /// Rules for TLS that is not ended here.
    pub tls: Vec<TlsRoute>,
    /// Rules for other connections.
    pub tcp: Vec<TcpRoute>,
    /// The namespaces whose callers it is for; all where it is left out.
    pub export_to: Vec<String>,
}

/// A service, or a part of it, that is called.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Destination {
    /// The service; a short name belongs to the rule's own namespace.
    #[schemars(with = "form::Host")]
    pub host: String,
    /// A subset that a destination rule names.
    #[serde(default)]
    pub subset: String,
    /// The port; needed where the service has several.
    pub port: Option<PortSelector>,
}

/// A port of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PortSelector {
    /// Its number.
    pub number: Option<Port>,
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct RouteDestination {
    /// The service.
    pub destination: Destination,
    /// Its share.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub weight: i32,
}

/// A rule for TLS that is not ended here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct TlsRoute {
    /// It counts if one of these matches.
    #[serde(rename = "match")]
    #[schemars(length(min = 1))]
    pub matches: Vec<TlsMatch>,
    /// Where connections go.
    #[serde(default)]
    pub route: Vec<RouteDestination>,
}

/// What a connection of TLS is; all fields that are there must match.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsMatch {
    /// The name that the client asks for, one of these.
    #[schemars(with = "Vec<form::Host>", length(min = 1))]
    pub sni_hosts: Vec<String>,
    /// The address, in one of these.
    #[serde(default)]
    #[schemars(with = "Vec<form::Cidr>")]
    pub destination_subnets: Vec<String>,
    /// The port.
    pub port: Option<Port>,
    /// The caller's labels.
    #[serde(default)]
    pub source_labels: BTreeMap<String, String>,
    /// The gateways.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// The caller's namespace.
    #[serde(default)]
    pub source_namespace: String,
}

/// A rule for connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TcpRoute {
    /// It counts if one of these matches, or there are none.
    #[serde(rename = "match")]
    pub matches: Vec<TcpMatch>,
    /// Where connections go.
    pub route: Vec<RouteDestination>,
}

/// What a connection is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpMatch {
    /// The address, in one of these.
    #[schemars(with = "Vec<form::Cidr>")]
    pub destination_subnets: Vec<String>,
    /// The port.
    pub port: Option<Port>,
    /// No longer has an effect.
    pub source_subnet: String,
    /// The caller's labels.
    pub source_labels: BTreeMap<String, String>,
    /// The gateways.
    pub gateways: Vec<String>,
    /// The caller's namespace.
    pub source_namespace: String,
}

impl Spec for VirtualServiceSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        self.check_hosts(at, report);
        for (index, gateway) in self.gateways.iter().enumerate() {
            check_gateway(gateway, at.field("gateways").item(index), report);
        }
        check_export_to(&self.export_to, at, report);
        if self.http.is_empty() && self.tls.is_empty() && self.tcp.is_empty() {
            report.error(at.clone(), "no rule: at least one of `http`, `tls`, `tcp` is needed");
        }
        // One that others delegate to has no hosts.
        let is_delegate = self.hosts.is_empty();
        for (index, route) in self.http.iter().enumerate() {
            route.check(is_delegate, &at.field("http").item(index), report);
        }
        http::check_unreachable(&self.http, &at.field("http"), report);
        for (index, route) in self.tls.iter().enumerate() {
            route.check(&self.hosts, &at.field("tls").item(index), report);
        }
        for (index, route) in self.tcp.iter().enumerate() {
            route.check(&at.field("tcp").item(index), report);
        }
    }
}

impl VirtualServiceSpec {
    fn check_hosts(&self, at: &Path, report: &mut Report) {
        let is_mesh = self.gateways.is_empty() || self.gateways.iter().any(|it| it == MESH);
        if self.hosts.is_empty() {
            if !self.gateways.is_empty() {
                let message = "missing; they are needed where `gateways` are named";
                report.error(at.field("hosts"), message);
            } else if self.http.is_empty() {
                let message = "missing; only rules for `http` can be delegated to";
                report.error(at.field("hosts"), message);
            }
        }
        let mut seen = HashMap::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let at = at.field("hosts").item(index);
            if host == "*" && is_mesh {
                let message = "`*` would take all calls of the mesh";
                report.error(at, message).suggest("name hosts, or `gateways` other than `mesh`");
            } else if let Some(first) = seen.insert(host, index) {
                report.warn(at, format!("`{host}` is host [{first}] already"));
            }
        }
    }
}

impl TlsRoute {
    fn check(&self, hosts: &[String], at: &Path, report: &mut Report) {
        for (index, it) in self.matches.iter().enumerate() {
            let at = at.field("match").item(index);
            check_source(&it.source_labels, &it.gateways, &at, report);
            for (index, name) in it.sni_hosts.iter().enumerate() {
                if !hosts.iter().any(|host| covers(host, name)) {
                    let message =
                        format!("`{name}` is none of `spec.hosts`, nor below one of them");
                    report.error(at.field("sniHosts").item(index), message);
                }
            }
        }
        check_routes(&self.route, at, report);
    }
}

/// Whether the host, perhaps with a wildcard, stands for all that the name does.
fn covers(host: &str, name: &str) -> bool {
    let (host, name) = (host.to_ascii_lowercase(), name.to_ascii_lowercase());
    let suffix = host.strip_prefix('*');
    host == name || suffix.is_some_and(|suffix| name.ends_with(suffix))
}

impl TcpRoute {
    fn check(&self, at: &Path, report: &mut Report) {
        for (index, it) in self.matches.iter().enumerate() {
            let at = at.field("match").item(index);
            check_source(&it.source_labels, &it.gateways, &at, report);
        }
        check_routes(&self.route, at, report);
    }
}

/// Checks what a match says of the caller.
fn check_source(
    labels: &BTreeMap<String, String>,
    gateways: &[String],
    at: &Path,
    report: &mut Report,
) {
    check_labels(labels, &at.field("sourceLabels"), report);
    for (index, gateway) in gateways.iter().enumerate() {
        check_gateway(gateway, at.field("gateways").item(index), report);
    }
}

fn check_routes(routes: &[RouteDestination], at: &Path, report: &mut Report) {
    let at = at.field("route");
    if routes.is_empty() {
        report.error(at.clone(), "missing; it says where connections go");
    }
    for (index, route) in routes.iter().enumerate() {
        route.destination.check(&at.item(index).field("destination"), report);
    }
    let weights: Vec<i64> = routes.iter().map(|route| i64::from(route.weight)).collect();
    check_weights(&weights, &at, report);
}

impl Destination {
    pub(crate) fn check(&self, at: &Path, report: &mut Report) {
        if self.host == "*" {
            report.error(at.field("host"), "`*` is no service: name one");
        }
        if self.port.is_some_and(|port| port.number.is_none()) {
            report.error(at.field("port").field("number"), "missing; it says which port is meant");
        }
    }
}

/// Checks shares of several destinations: something must be shared out, and it should be 100 where that was plainly meant.
fn check_weights(weights: &[i64], at: &Path, report: &mut Report) {
    let total: i64 = weights.iter().sum();
    if weights.len() < 2 {
        return;
    }
    if total == 0 {
        let message = "no destination has a `weight`, so that nobody is called";
        report.error(at.clone(), message).suggest("give each a share, together 100");
    } else if (90..=110).contains(&total) && total != 100 {
        let message =
            format!("the weights add up to {total}, not 100; each counts in relation to that");
        report.warn(at.clone(), message);
    } else if total > i64::from(u32::MAX) {
        report.error(at.clone(), format!("the weights add up to {total}, which is too much"));
    }
}
