//! `TLSRoute`: where connections of TLS go, by the name that the client asks for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{ParentReference, check_parents};
use super::route_status::RouteStatus;
use super::tcp_route::{DefaultGateways, StreamRule, check_stream_rules};
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::form;

/// Where connections of TLS go.
pub type TlsRoute = Object<TlsRouteSpec, RouteStatus>;

/// Where connections of TLS go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRouteSpec {
    /// What it is attached to.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Whether it is attached to the default gateways.
    pub use_default_gateways: Option<DefaultGateways>,
    /// The names that clients ask for; those of the listener where it is left out.
    #[serde(default)]
    #[schemars(with = "Vec<form::Host>", length(max = 16))]
    pub hostnames: Vec<String>,
    /// The rules.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<StreamRule>,
}

impl Spec for TlsRouteSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        check_parents(&self.parent_refs, at, report);
        check_hostnames(&self.hostnames, at, report);
        check_stream_rules(&self.rules, at, report);
    }
}

/// Checks the hosts of a route: names, no addresses.
pub(super) fn check_hostnames(hostnames: &[String], at: &Path, report: &mut Report) {
    for (index, host) in hostnames.iter().enumerate() {
        if let Some(problem) = hostname_problem(host) {
            report.error(at.field("hostnames").item(index), problem);
        }
    }
}

/// What is wrong with a host's name of the Gateway API.
pub(super) fn hostname_problem(host: &str) -> Option<String> {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let plain = host.strip_prefix("*.").unwrap_or(host);
    let fits = meltemi_names::is_dns_subdomain(plain) && !is_address;
    (!fits).then(|| {
        format!("`{host}` is not a host's name here: lower-case DNS labels, an optional leading `*.`, no IP address")
    })
}
