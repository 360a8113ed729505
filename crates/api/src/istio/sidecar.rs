//! `Sidecar`: what the proxies beside workloads listen to and see.

use std::collections::HashSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::select::{LabelSelector, namespaced_host_problem};
use super::service_entry::check_protocol;
use super::status::Status;
use super::tls::ServerTls;
use super::traffic_policy::ConnectionPool;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::Port;

/// What the proxies beside workloads listen to and see.
pub type Sidecar = Object<SidecarSpec, Status>;

/// What the proxies beside workloads listen to and see.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SidecarSpec {
    /// The workloads; all of the namespace where it is left out.
    pub workload_selector: Option<LabelSelector>,
    /// What comes in.
    pub ingress: Vec<IngressListener>,
    /// What goes out.
    pub egress: Vec<EgressListener>,
    /// How many connections and requests may come in.
    pub inbound_connection_pool: Option<ConnectionPool>,
    /// Where what is not known goes.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// A listener for what comes in.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressListener {
    /// The port.
    pub port: SidecarPort,
    /// The address.
    #[serde(default)]
    pub bind: String,
    /// How traffic comes here.
    pub capture_mode: Option<CaptureMode>,
    /// Where it goes: `127.0.0.1:PORT`, `0.0.0.0:PORT` or `unix://PATH`; the same port where it is left out.
    #[serde(default)]
    pub default_endpoint: String,
    /// The TLS that is spoken here.
    pub tls: Option<ServerTls>,
    /// How many connections and requests may come in here.
    pub connection_pool: Option<ConnectionPool>,
}

/// A listener for what goes out.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressListener {
    /// The port; all of the hosts' where it is left out.
    pub port: Option<SidecarPort>,
    /// The address or Unix socket.
    #[serde(default)]
    pub bind: String,
    /// How traffic comes here.
    pub capture_mode: Option<CaptureMode>,
    /// The hosts that can be called, `NAMESPACE/HOST`.
    #[schemars(length(min = 1))]
    pub hosts: Vec<String>,
}

/// The port of a listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SidecarPort {
    /// The number; for Unix sockets it may be 0, which is none.
    #[serde(deserialize_with = "port_or_none")]
    #[schemars(with = "Option<u32>", range(min = 0, max = 65535))]
    pub number: Option<Port>,
    /// The protocol.
    pub protocol: String,
    /// The name.
    pub name: String,
    /// No longer has an effect.
    pub target_port: Option<Port>,
}

fn port_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Port>, D::Error> {
    let number = Option::<u32>::deserialize(deserializer)?.filter(|number| *number > 0);
    number.map(Port::try_from).transpose().map_err(D::Error::custom)
}

/// How traffic comes to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaptureMode {
    /// As the machine is set up.
    Default,
    /// It is redirected by the kernel.
    Iptables,
    /// The application itself calls the listener.
    None,
}

/// Where what is not known goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct OutboundTrafficPolicy {
    /// Out, or nowhere; as the mesh says where it is left out.
    pub mode: Option<OutboundMode>,
    /// The service through which it goes out.
    pub egress_proxy: Option<super::virtual_service::Destination>,
}

/// Whether what is not known goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundMode {
    /// It does not.
    RegistryOnly,
    /// It does.
    AllowAny,
}

impl Spec for SidecarSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        if let Some(selector) = &self.workload_selector {
            selector.check(&at.field("workloadSelector"), report);
        }
        let mut seen = HashSet::new();
        for (index, listener) in self.ingress.iter().enumerate() {
            let at = at.field("ingress").item(index);
            listener.check(&at, report);
            if let Some(number) = listener.port.number.filter(|number| !seen.insert(*number)) {
                let message = format!("another listener has port {} already", number.number());
                report.error(at.field("port").field("number"), message);
            }
        }
        let mut seen = HashSet::new();
        for (index, listener) in self.egress.iter().enumerate() {
            listener.check(&at.field("egress").item(index), report);
            if let Some(taken) = listener.place().filter(|place| !seen.insert(place.clone())) {
                let message = format!("another listener has {taken} already");
                report.error(at.field("egress").item(index).field("port"), message);
            }
            let is_last = index + 1 == self.egress.len();
            if listener.port.is_none() && !is_last {
                let message = "missing; only the last listener can be for all ports";
                report.error(at.field("egress").item(index).field("port"), message);
            }
        }
        if let Some(pool) = &self.inbound_connection_pool {
            pool.check(&at.field("inboundConnectionPool"), report);
        }
    }
}

impl IngressListener {
    fn check(&self, at: &Path, report: &mut Report) {
        self.port.check(&at.field("port"), report);
        if !self.bind.is_empty() && self.bind.parse::<IpAddr>().is_err() {
            let message = format!("`{}` is not an IP address", self.bind);
            report.error(at.field("bind"), message);
        }
        if let Some(tls) = &self.tls {
            tls.check(&at.field("tls"), report);
        }
        if let Some(pool) = &self.connection_pool {
            pool.check(&at.field("connectionPool"), report);
        }
        let endpoint = self.default_endpoint.as_str();
        let is_local = endpoint
            .parse::<std::net::SocketAddr>()
            .is_ok_and(|it| it.port() > 0 && (it.ip().is_loopback() || it.ip().is_unspecified()));
        if !endpoint.is_empty() && !endpoint.starts_with("unix://") && !is_local {
            let message = format!(
                "`{endpoint}` is not `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT`, `[::]:PORT` or `unix://PATH`"
            );
            report.error(at.field("defaultEndpoint"), message);
        }
    }
}

impl EgressListener {
    /// What no other listener may have too: its socket, else its port, whatever its address (Istio).
    fn place(&self) -> Option<String> {
        if self.is_socket() {
            return Some(self.bind.clone());
        }
        let number = self.port.as_ref()?.number?;
        Some(format!("port {}", number.number()))
    }

    fn is_socket(&self) -> bool {
        self.bind.starts_with("unix://")
    }

    fn check(&self, at: &Path, report: &mut Report) {
        match &self.port {
            Some(port) if self.is_socket() => {
                check_protocol(&port.protocol, at.field("port").field("protocol"), report);
            }
            Some(port) => port.check(&at.field("port"), report),
            None if !self.bind.is_empty() => {
                report.error(at.field("port"), "missing; a listener with a `bind` has one");
            }
            None => {}
        }
        if !self.bind.is_empty() && !self.is_socket() && self.bind.parse::<IpAddr>().is_err() {
            let message = format!("`{}` is neither an IP address nor `unix://PATH`", self.bind);
            report.error(at.field("bind"), message);
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let at = at.field("hosts").item(index);
            if !host.contains('/') {
                let message = format!("`{host}` does not say of which namespace");
                let hint = format!("write `*/{host}`, `./{host}` or `NAMESPACE/{host}`");
                report.error(at, message).suggest(hint);
            } else if let Some(problem) = namespaced_host_problem(host) {
                report.error(at, problem);
            }
        }
    }
}

impl SidecarPort {
    fn check(&self, at: &Path, report: &mut Report) {
        if self.number.is_none() {
            report.error(at.field("number"), "missing; it says which port is meant");
        }
        check_protocol(&self.protocol, at.field("protocol"), report);
    }
}
