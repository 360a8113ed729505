//! The rule of routes: what a `VirtualService` says after names are made full and delegates are merged in.
//!
//! The same rules are made of the Gateway API's routes. They travel as JSON with the message of the service that they
//! are for, and are compiled by whoever routes.

use serde::{Deserialize, Serialize};

mod action;
mod connection;
mod cors;
mod fault;
mod http;
mod matches;

pub use action::{
    Body, DirectResponse, Header, HeaderOperations, Headers, PathRewrite, Redirect, RedirectPort,
    Rewrite,
};
pub use connection::{RouteDestination, TcpMatch, TcpRoute, TlsMatch, TlsRoute};
pub use cors::{CorsPolicy, UnmatchedPreflights};
pub use fault::{Abort, AbortWith, Delay, Fault, Percentage};
pub use http::{Action, Destination, HttpRoute, HttpRouteDestination, Mirror, RetryRule};
pub use matches::{HttpMatch, PathMatch, StringMatch};

/// The gateway that stands for all sidecars.
pub const MESH: &str = "mesh";

/// Which API a rule was written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Api {
    /// It is a `VirtualService`.
    #[default]
    Istio,
    /// It is made of the Gateway API's routes that are attached to a service. For callers of its own namespace it goes before
    /// every `VirtualService` (Istio, `PushContext.VirtualServicesForGateway`).
    Gateway,
}

impl Api {
    /// What it calls its rules, before the name of one.
    pub fn rules(self) -> &'static str {
        match self {
            Api::Istio => "VirtualService",
            Api::Gateway => "route",
        }
    }
}

/// Where requests and connections to hosts go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualService {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Which API it was written in.
    #[serde(skip_serializing_if = "is_default")]
    pub api: Api,
    /// When it was made, in seconds since 1970: the older of two for the same host counts.
    #[serde(skip_serializing_if = "is_default")]
    pub created: u64,
    /// The hosts, each a full name, `*.` and the end of one, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The namespaces whose callers it is for: names, `.` for its own, `*` for all; all where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// The gateways, `NAMESPACE/NAME`, and `mesh` for all sidecars; `mesh` where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Rules for requests; the first that matches counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRoute>,
    /// Rules for TLS that is not ended here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<TlsRoute>,
    /// Rules for other connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpRoute>,
}

impl VirtualService {
    /// Whether callers in this namespace are meant to see it (`exportTo`).
    pub fn is_visible_to(&self, namespace: &str) -> bool {
        self.export_to.is_empty()
            || self.export_to.iter().any(|to| match to.as_str() {
                "*" => true,
                "." => namespace == self.namespace,
                name => name == namespace,
            })
    }

    /// Whether it is for this gateway, or for sidecars if that is `mesh`.
    pub fn binds_to(&self, gateway: &str) -> bool {
        match self.gateways.is_empty() {
            true => gateway == MESH,
            false => self.gateways.iter().any(|it| it == gateway),
        }
    }
}

/// Whether a field can be left out of the JSON.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
