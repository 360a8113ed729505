//! `Gateway` of Istio: what a proxy at the edge listens to.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::namespaced_host_problem;
use super::service_entry::check_protocol;
use super::status::Status;
use super::tls::ServerTls;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::{Port, form};

/// What a proxy at the edge listens to.
pub type Gateway = Object<GatewaySpec, Status>;

/// What a proxy at the edge listens to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct GatewaySpec {
    /// Its listeners.
    #[schemars(length(min = 1))]
    pub servers: Vec<Server>,
    /// The labels of the proxies that listen.
    #[serde(default)]
    pub selector: BTreeMap<String, String>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The port.
    pub port: ServerPort,
    /// The address or Unix socket; all addresses where it is left out.
    #[serde(default)]
    pub bind: String,
    /// The hosts that are served, `[NAMESPACE/]HOST`.
    #[schemars(length(min = 1))]
    pub hosts: Vec<String>,
    /// The TLS that is spoken.
    pub tls: Option<ServerTls>,
    /// Where traffic of sidecars goes.
    #[serde(default)]
    pub default_endpoint: String,
    /// Its name, for statistics.
    #[serde(default)]
    pub name: String,
}

/// The port of a listener.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerPort {
    /// The number.
    pub number: Port,
    /// The protocol, as in `HTTP`, `HTTPS` or `TCP`.
    #[schemars(with = "form::Filled")]
    pub protocol: String,
    /// The name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// No longer has an effect.
    pub target_port: Option<Port>,
}

impl Spec for GatewaySpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        check_labels(&self.selector, &at.field("selector"), report);
        let mut names = HashMap::new();
        for (index, server) in self.servers.iter().enumerate() {
            let at = at.field("servers").item(index);
            if let Some(first) = names.insert(server.port.name.as_str(), index) {
                let message = format!(
                    "`{}` is the port's name of server [{first}] already",
                    server.port.name
                );
                report.error(at.field("port").field("name"), message);
            }
            server.check(&at, report);
        }
    }
}

impl Server {
    fn check(&self, at: &Path, report: &mut Report) {
        let protocol = self.port.protocol.to_ascii_uppercase();
        check_protocol(&protocol, at.field("port").field("protocol"), report);
        for (index, host) in self.hosts.iter().enumerate() {
            if let Some(problem) = namespaced_host_problem(host) {
                report.error(at.field("hosts").item(index), problem);
            }
        }
        let bind = self.bind.as_str();
        if !bind.is_empty()
            && !bind.starts_with("unix://")
            && bind.parse::<std::net::IpAddr>().is_err()
        {
            let message = format!("`{bind}` is not an IP address, nor `unix://PATH`");
            report.error(at.field("bind"), message);
        }
        let is_tls = ["HTTPS", "TLS"].contains(&protocol.as_str());
        match &self.tls {
            None if is_tls => {
                let message = format!("missing; protocol {protocol} needs it");
                report.error(at.field("tls"), message).suggest("say at least `mode`");
            }
            None => {}
            Some(tls) => {
                tls.check(&at.field("tls"), report);
                self.check_plain(tls, is_tls, &at.field("tls"), report);
            }
        }
    }

    /// A listener in plaintext can redirect to HTTPS, nothing else.
    fn check_plain(&self, tls: &ServerTls, is_tls: bool, at: &Path, report: &mut Report) {
        let protocol = &self.port.protocol;
        let is_http = protocol.eq_ignore_ascii_case("HTTP");
        if !is_tls && tls.mode.is_some() && is_http {
            let message = format!("protocol {protocol} is plaintext, so that this has no effect");
            report.warn(at.field("mode"), message).suggest("did you mean protocol `HTTPS`?");
        }
        if tls.https_redirect && !is_http {
            let message =
                format!("protocol {protocol} is not plaintext HTTP, which alone can be redirected");
            report.error(at.field("httpsRedirect"), message);
        }
    }
}
