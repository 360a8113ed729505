//! `ServiceEntry`: hosts that no core service names.

use std::collections::HashMap;

use meltemi_names::Protocol;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{LabelSelector, check_export_to};
use super::status::Status;
use super::workload_entry::WorkloadEntrySpec;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Port, form};

/// Hosts with ports and endpoints.
pub type ServiceEntry = Object<ServiceEntrySpec, Status>;

/// Hosts with ports and endpoints.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntrySpec {
    /// The hosts, perhaps with `*.` before them.
    #[schemars(with = "Vec<form::Host>", length(min = 1, max = 256))]
    pub hosts: Vec<String>,
    /// Virtual addresses of the hosts.
    #[serde(default)]
    #[schemars(with = "Vec<form::Cidr>", length(max = 256))]
    pub addresses: Vec<String>,
    /// The ports.
    #[serde(default)]
    pub ports: Vec<ServiceEntryPort>,
    /// Whether the hosts belong to the mesh; `MESH_EXTERNAL` where it is left out.
    pub location: Option<Location>,
    /// How endpoints are found; `NONE` where it is left out.
    pub resolution: Option<Resolution>,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Vec<WorkloadEntrySpec>,
    /// The workloads that are endpoints.
    pub workload_selector: Option<LabelSelector>,
    /// The namespaces that see the hosts; all where it is left out.
    #[serde(default)]
    pub export_to: Vec<String>,
    /// Names of which a server's certificate must bear one.
    #[serde(default)]
    pub subject_alt_names: Vec<String>,
}

/// One port of hosts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntryPort {
    /// The number.
    pub number: Port,
    /// The protocol, as in `HTTP`, `GRPC` or `TLS`; by the name where it is left out.
    #[serde(default)]
    pub protocol: String,
    /// The name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// The endpoints' port; the same number where it is left out.
    pub target_port: Option<Port>,
}

/// Whether hosts belong to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// They do not.
    MeshExternal,
    /// They do.
    MeshInternal,
}

/// How endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// The address that the caller meant is called.
    None,
    /// By the addresses given here.
    Static,
    /// By name, all addresses at once.
    Dns,
    /// By name, the first address.
    DnsRoundRobin,
    /// By the name that is asked for, of a wildcard.
    DynamicDns,
}

impl Spec for ServiceEntrySpec {
    fn check(&self, metadata: &ObjectMeta, at: &Path, report: &mut Report) {
        crate::subset::check(metadata, report);
        check_export_to(&self.export_to, at, report);
        self.check_ports(&at.field("ports"), report);
        self.check_endpoints(at, report);
        if let Some(selector) = &self.workload_selector {
            selector.check(&at.field("workloadSelector"), report);
        }
        for (index, host) in self.hosts.iter().enumerate().filter(|(_, host)| *host == "*") {
            let message = format!("`{host}` would stand for every host");
            let hint = "name hosts, or at least a domain as in `*.example.com`";
            report.error(at.field("hosts").item(index), message).suggest(hint);
        }
    }
}

impl ServiceEntrySpec {
    fn check_ports(&self, at: &Path, report: &mut Report) {
        let (mut names, mut numbers) = (HashMap::new(), HashMap::new());
        for (index, port) in self.ports.iter().enumerate() {
            let at = at.item(index);
            if let Some(first) = names.insert(port.name.as_str(), index) {
                let message = format!("`{}` is the name of port [{first}] already", port.name);
                report.error(at.field("name"), message);
            }
            if let Some(first) = numbers.insert(port.number, index) {
                let number = port.number.number();
                let message = format!("{number} is the number of port [{first}] already");
                report.error(at.field("number"), message);
            }
            check_protocol(&port.protocol, at.field("protocol"), report);
        }
    }

    fn check_endpoints(&self, at: &Path, report: &mut Report) {
        let choices = [
            ("endpoints", !self.endpoints.is_empty()),
            ("workloadSelector", self.workload_selector.is_some()),
        ];
        at_most_one(&choices, at, report);
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let at = at.field("endpoints").item(index);
            endpoint.check_endpoint(&at, report);
            self.check_endpoint(endpoint, &at, report);
        }
        self.check_count(&at.field("endpoints"), report);
        let wildcard = self.hosts.iter().position(|host| host.starts_with('*'));
        let is_by_name =
            matches!(self.resolution, Some(Resolution::Dns | Resolution::DnsRoundRobin));
        if let Some(index) = wildcard
            && is_by_name
            && self.endpoints.is_empty()
            && self.workload_selector.is_none()
        {
            let message = format!("`{}` cannot be looked up", self.hosts[index]);
            let hint = "name endpoints, or use resolution NONE";
            report.error(at.field("hosts").item(index), message).suggest(hint);
        }
        if self.resolution == Some(Resolution::Static)
            && self.endpoints.is_empty()
            && self.workload_selector.is_none()
        {
            let message =
                "missing; with resolution STATIC they, or a `workloadSelector`, say whom to call";
            report.warn(at.field("endpoints"), message);
        }
    }

    /// Checks how many endpoints the resolution has room for (Istio's `ValidateServiceEntry`).
    fn check_count(&self, at: &Path, report: &mut Report) {
        let resolution = self.resolution.unwrap_or(Resolution::None);
        match (resolution, self.endpoints.len()) {
            (Resolution::None, 1..) => {
                let message = "cannot stand with resolution NONE, which calls the address that the caller meant";
                report.error(at.clone(), message).on_key().suggest("use resolution STATIC or DNS");
            }
            (Resolution::DnsRoundRobin, 2..) => {
                let message = "with resolution DNS_ROUND_ROBIN at most one can be there";
                report.error(at.clone(), message).suggest("use resolution DNS");
            }
            _ => {}
        }
    }

    fn check_endpoint(&self, endpoint: &WorkloadEntrySpec, at: &Path, report: &mut Report) {
        if endpoint.address.is_empty() && endpoint.network.is_empty() {
            report.error(at.field("address"), "missing; it says whom to call");
        }
        let is_address = endpoint.address.parse::<std::net::IpAddr>().is_ok();
        let is_socket = endpoint.address.starts_with("unix:");
        if self.resolution == Some(Resolution::Static)
            && !endpoint.address.is_empty()
            && !is_address
            && !is_socket
        {
            let message =
                format!("`{}` is not an IP address, as resolution STATIC needs", endpoint.address);
            report.error(at.field("address"), message).suggest("or use resolution DNS");
        }
        for name in endpoint.ports.keys() {
            if !self.ports.iter().any(|port| port.name == *name) {
                let message = format!("`{name}` is not the name of a port in `spec.ports`");
                report.error(at.field("ports").field(name), message).on_key();
            }
        }
    }
}

/// Checks a protocol's word as Istio knows them.
pub(crate) fn check_protocol(word: &str, at: Path, report: &mut Report) {
    let known = [
        "HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TCP", "TLS", "UDP", "REDIS",
        "MYSQL",
    ];
    let is_known = Protocol::parse(word).is_some()
        || known.iter().any(|it| it.eq_ignore_ascii_case(word))
        || ["HTTP_PROXY", "HBONE", "AUTO"].iter().any(|it| it.eq_ignore_ascii_case(word));
    if word.is_empty() || is_known {
        return;
    }
    let words = known.map(|it| format!("`{it}`")).join(", ");
    let problem = report.error(at, format!("`{word}` is none of {words}"));
    if let Some(near) = crate::refuse::nearest(word, known) {
        problem.suggest(format!("did you mean `{near}`?"));
    }
}
