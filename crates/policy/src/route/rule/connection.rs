//! Rules for connections that are passed on without a look at what is in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Destination, is_default};

/// A rule for TLS that is not ended here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsRoute {
    /// It counts if one of these matches.
    #[serde(rename = "match", skip_serializing_if = "is_default")]
    pub matches: Vec<TlsMatch>,
    /// Where connections go.
    pub route: Vec<RouteDestination>,
}

/// What a connection of TLS is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsMatch {
    /// The name that the client asks for, one of these, perhaps with `*.` before them.
    pub sni_hosts: Vec<String>,
    /// The address, in one of these (CIDR); any where there are none.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_subnets: Vec<String>,
    /// The port.
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// The caller's labels.
    #[serde(skip_serializing_if = "is_default")]
    pub source_labels: BTreeMap<String, String>,
    /// The caller's namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub source_namespace: Option<String>,
    /// The gateways, where they are fewer than those of the virtual service.
    #[serde(skip_serializing_if = "is_default")]
    pub gateways: Vec<String>,
}

/// A rule for connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpRoute {
    /// It counts if one of these matches, or there are none.
    #[serde(rename = "match", skip_serializing_if = "is_default")]
    pub matches: Vec<TcpMatch>,
    /// Where connections go.
    pub route: Vec<RouteDestination>,
}

/// What a connection is; all fields that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpMatch {
    /// The address, in one of these (CIDR); any where there are none.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_subnets: Vec<String>,
    /// The port.
    #[serde(skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// The caller's labels.
    #[serde(skip_serializing_if = "is_default")]
    pub source_labels: BTreeMap<String, String>,
    /// The caller's namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub source_namespace: Option<String>,
    /// The gateways, where they are fewer than those of the virtual service.
    #[serde(skip_serializing_if = "is_default")]
    pub gateways: Vec<String>,
}

/// Where connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteDestination {
    /// The service.
    pub destination: Destination,
    /// Its share; without meaning where it is the only one.
    #[serde(skip_serializing_if = "is_default")]
    pub weight: u32,
}
