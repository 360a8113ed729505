//! A listener of a gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::CertificateAuthorityReference;
use crate::gateway_api::reference::SecretObjectReference;
use crate::gateway_api::tls_route::hostname_problem;
use crate::refuse::{Path, Report};
use crate::values::{Port, form};

/// A listener.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name, by which routes choose it.
    #[schemars(with = "form::DnsName")]
    pub name: String,
    /// The host, perhaps with `*.` before it; all where it is left out.
    pub hostname: Option<String>,
    /// The port.
    pub port: Port,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`, or `DOMAIN/NAME` of one's own.
    #[schemars(with = "form::Filled")]
    pub protocol: String,
    /// The TLS that is spoken.
    pub tls: Option<ListenerTls>,
    /// Which routes may be attached; those of the same namespace where it is left out.
    pub allowed_routes: Option<AllowedRoutes>,
}

/// The TLS of a listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerTls {
    /// Whether it ends here; it does where this is left out.
    pub mode: Option<ListenerTlsMode>,
    /// The certificates.
    #[schemars(length(max = 64))]
    pub certificate_refs: Vec<SecretObjectReference>,
    /// Old form of the gateway's `tls.frontend`.
    pub frontend_validation: Option<FrontendValidation>,
    /// More settings, each with a domain before its name.
    pub options: BTreeMap<String, String>,
}

/// Whether TLS ends at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ListenerTlsMode {
    /// It does.
    Terminate,
    /// It goes on to the backend.
    Passthrough,
}

/// The TLS towards clients.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrontendTlsConfig {
    /// On ports that are not named below.
    pub default: FrontendTls,
    /// On single ports.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub per_port: Vec<PortTls>,
}

/// The TLS towards clients on some ports.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FrontendTls {
    /// How clients' certificates are checked.
    pub validation: Option<FrontendValidation>,
}

/// The TLS towards clients on one port.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct PortTls {
    /// The port.
    pub port: Port,
    /// What is spoken there.
    pub tls: FrontendTls,
}

/// How clients' certificates are checked.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrontendValidation {
    /// The authorities.
    #[schemars(length(min = 1, max = 8))]
    pub ca_certificate_refs: Vec<CertificateAuthorityReference>,
    /// What becomes of clients without a right certificate; they are refused where it is left out.
    pub mode: Option<FrontendValidationMode>,
}

/// What becomes of clients without a right certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FrontendValidationMode {
    /// They are refused.
    AllowValidOnly,
    /// They are served, and the backend is told.
    AllowInsecureFallback,
}

/// Which routes may be attached.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Of which namespaces; the gateway's own where it is left out.
    pub namespaces: Option<RouteNamespaces>,
    /// Of which kinds; those that fit the protocol where it is left out.
    #[schemars(length(max = 8))]
    pub kinds: Vec<RouteGroupKind>,
}

/// Namespaces.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RouteNamespaces {
    /// Which ones.
    pub from: Option<NamespacesFrom>,
    /// By their labels, with `from: Selector`.
    pub selector: Option<LabelSelector>,
}

/// Which namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// All.
    All,
    /// Those that the selector matches.
    Selector,
    /// The gateway's own.
    Same,
    /// None.
    None,
}

/// A kind of route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RouteGroupKind {
    /// Its group; `gateway.networking.k8s.io` where it is left out.
    pub group: Option<String>,
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub kind: String,
}

/// Objects by labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be there.
    pub match_labels: BTreeMap<String, String>,
    /// What else must hold of labels.
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// What must hold of a label.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct LabelSelectorRequirement {
    /// The label.
    #[schemars(with = "form::Filled")]
    pub key: String,
    /// What must hold.
    pub operator: LabelSelectorOperator,
    /// The values, with `In` and `NotIn`.
    #[serde(default)]
    pub values: Vec<String>,
}

/// What must hold of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LabelSelectorOperator {
    /// It has one of the values.
    In,
    /// It has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// Protocols that the Gateway API names.
const PROTOCOLS: [&str; 5] = ["HTTP", "HTTPS", "TLS", "TCP", "UDP"];

impl Listener {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let protocol = self.protocol.as_str();
        // A protocol of one's own has a domain before it, as in `example.com/MY-PROTOCOL`.
        if !PROTOCOLS.contains(&protocol) && !protocol.contains('/') {
            let words = PROTOCOLS.map(|it| format!("`{it}`")).join(", ");
            let message = format!("`{protocol}` is none of {words}, nor `DOMAIN/NAME`");
            let problem = report.error(at.field("protocol"), message);
            if let Some(near) = crate::refuse::nearest(protocol, PROTOCOLS) {
                problem.suggest(format!("did you mean `{near}`?"));
            }
        }
        if let Some(hostname) = &self.hostname {
            self.check_hostname(hostname, at, report);
        }
        self.check_tls(at, report);
        let namespaces = self.allowed_routes.as_ref().and_then(|it| it.namespaces.as_ref());
        if let Some(namespaces) = namespaces
            && namespaces.from == Some(NamespacesFrom::Selector)
            && namespaces.selector.is_none()
        {
            let at = at.field("allowedRoutes").field("namespaces").field("selector");
            report.error(at, "missing; `from: Selector` needs it");
        }
    }

    fn check_hostname(&self, hostname: &str, at: &Path, report: &mut Report) {
        let at = at.field("hostname");
        if ["TCP", "UDP"].contains(&self.protocol.as_str()) && !hostname.is_empty() {
            let message = format!("protocol {} knows no hosts", self.protocol);
            report.error(at, message).suggest("leave it out");
        } else if let Some(problem) = hostname_problem(hostname).filter(|_| !hostname.is_empty()) {
            report.error(at, problem);
        }
    }

    fn check_tls(&self, at: &Path, report: &mut Report) {
        let at = at.field("tls");
        let protocol = self.protocol.as_str();
        let Some(tls) = &self.tls else {
            if ["HTTPS", "TLS"].contains(&protocol) {
                report.error(at, format!("missing; protocol {protocol} needs it"));
            }
            return;
        };
        if ["HTTP", "TCP", "UDP"].contains(&protocol) {
            let message = format!("protocol {protocol} speaks no TLS");
            report.error(at.clone(), message).suggest("leave it out, or use `HTTPS` or `TLS`");
        }
        let mode = tls.mode.unwrap_or(ListenerTlsMode::Terminate);
        match mode {
            ListenerTlsMode::Passthrough if protocol == "HTTPS" => {
                let message = "protocol HTTPS ends TLS here";
                report.error(at.field("mode"), message).suggest("use protocol `TLS`");
            }
            ListenerTlsMode::Terminate
                if tls.certificate_refs.is_empty() && tls.options.is_empty() =>
            {
                let message = "missing; TLS that ends here needs a certificate";
                report.error(at.field("certificateRefs"), message);
            }
            _ => {}
        }
    }
}
