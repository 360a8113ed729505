//! `Gateway` of the Gateway API: listeners at the edge.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{LocalObjectReference, ObjectReference, SecretObjectReference};
use super::tls_route::hostname_problem;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::{Condition, form};

mod listener;

pub use listener::{
    AllowedRoutes, FrontendTls, FrontendTlsConfig, FrontendValidation, FrontendValidationMode,
    LabelSelector, LabelSelectorOperator, LabelSelectorRequirement, Listener, ListenerTls,
    ListenerTlsMode, NamespacesFrom, PortTls, RouteGroupKind, RouteNamespaces,
};

/// Listeners at the edge.
pub type Gateway = Object<GatewaySpec, GatewayStatus>;

/// Listeners at the edge.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The class, which says who runs it.
    #[schemars(with = "form::Filled")]
    pub gateway_class_name: String,
    /// The listeners.
    #[schemars(length(min = 1, max = 64))]
    pub listeners: Vec<Listener>,
    /// Addresses that are asked for.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub addresses: Vec<GatewayAddress>,
    /// About what is made for it.
    pub infrastructure: Option<Infrastructure>,
    /// Which namespaces may add listeners.
    pub allowed_listeners: Option<AllowedListeners>,
    /// The TLS towards clients and backends.
    pub tls: Option<GatewayTls>,
    /// Old form of `tls.backend`.
    #[serde(rename = "backendTLS")]
    pub backend_tls: Option<GatewayBackendTls>,
    /// Whether routes that name no gateway are attached.
    pub default_scope: Option<DefaultScope>,
}

/// Which routes that name no gateway are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DefaultScope {
    /// All.
    All,
    /// None.
    None,
}

/// An address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatewayAddress {
    /// `IPAddress`, `Hostname` or a type of one's own; `IPAddress` where it is left out.
    pub r#type: Option<String>,
    /// The address.
    pub value: String,
}

/// About what is made for a gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Infrastructure {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// An object with more settings.
    pub parameters_ref: Option<LocalObjectReference>,
}

/// Which namespaces may add listeners.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AllowedListeners {
    /// The namespaces; none where it is left out.
    pub namespaces: Option<RouteNamespaces>,
}

/// The TLS towards clients and backends.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatewayTls {
    /// Towards backends.
    pub backend: Option<GatewayBackendTls>,
    /// Towards clients.
    pub frontend: Option<FrontendTlsConfig>,
}

/// The TLS towards backends.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayBackendTls {
    /// The certificate that is shown to them.
    pub client_certificate_ref: Option<SecretObjectReference>,
}

/// What became of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Its addresses.
    pub addresses: Vec<GatewayAddress>,
    /// How it is.
    pub conditions: Vec<Condition>,
    /// Each listener.
    pub listeners: Vec<ListenerStatus>,
    /// How many sets of listeners were added.
    pub attached_listener_sets: Option<i32>,
}

/// What became of a listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The kinds of routes that can be attached.
    pub supported_kinds: Vec<RouteGroupKind>,
    /// How many routes are attached.
    pub attached_routes: i32,
    /// How it is.
    pub conditions: Vec<Condition>,
}

/// An object with certificates of authorities, as frontends name it.
pub type CertificateAuthorityReference = ObjectReference;

impl Spec for GatewaySpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let mut names = HashMap::new();
        let mut places = HashMap::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let at = at.field("listeners").item(index);
            listener.check(&at, report);
            if let Some(first) = names.insert(listener.name.as_str(), index) {
                let message =
                    format!("`{}` is the name of listener [{first}] already", listener.name);
                report.error(at.field("name"), message);
            }
            let place = (listener.port, listener.protocol.as_str(), listener.hostname.as_deref());
            if let Some(first) = places.insert(place, index) {
                let message = format!("has port, protocol and host of listener [{first}]");
                report.error(at, message);
            }
        }
        for (index, address) in self.addresses.iter().enumerate() {
            let at = at.field("addresses").item(index).field("value");
            if let Some(problem) = address.problem() {
                report.error(at, problem);
            }
        }
        if let Some(infrastructure) = &self.infrastructure {
            let at = at.field("infrastructure").field("labels");
            check_labels(&infrastructure.labels, &at, report);
        }
    }
}

impl GatewayAddress {
    fn problem(&self) -> Option<String> {
        match self.r#type.as_deref() {
            _ if self.value.is_empty() => None,
            None | Some("IPAddress") => self
                .value
                .parse::<std::net::IpAddr>()
                .err()
                .map(|_| format!("`{}` is not an IP address", self.value)),
            Some("Hostname") => hostname_problem(&self.value),
            Some(_) => None,
        }
    }
}
