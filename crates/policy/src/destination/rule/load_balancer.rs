//! Which endpoint of a service is called, as a destination rule says it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which endpoint is called. Without `simple` and `consistent_hash` it is the default of [`SimpleLoadBalancer`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadBalancer {
    /// By a rule that needs nothing of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simple: Option<SimpleLoadBalancer>,
    /// The same endpoint for the same thing in the request; goes before `simple`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent_hash: Option<ConsistentHash>,
    /// Which places are preferred. Where it is left out, the mesh's setting holds: nearest first, if there is outlier
    /// detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// How a new endpoint gets its share. Without effect on consistent hashing and `RANDOM`, as in Envoy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
}

/// A rule that needs nothing of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SimpleLoadBalancer {
    /// Each in turn, by weight.
    #[default]
    RoundRobin,
    /// Of two taken at random the one with fewer requests under way.
    LeastRequest,
    /// Any, by weight.
    Random,
    /// The address that the caller itself asked for.
    Passthrough,
    /// Of two taken at random the one with the lower product of latency and requests under way. Not in Istio's API: an
    /// annotation says it.
    PeakEwma,
    /// The one that is least loaded by its own word. Not in Istio's API: an annotation says it.
    Learned,
}

impl SimpleLoadBalancer {
    /// Whether it looks at how many requests are under way.
    pub fn counts_load(self) -> bool {
        matches!(self, Self::LeastRequest | Self::PeakEwma | Self::Learned)
    }

    /// Whether it goes by what calls have told of endpoints.
    pub fn observes(self) -> bool {
        matches!(self, Self::PeakEwma | Self::Learned)
    }
}

/// The same endpoint for the same thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsistentHash {
    /// The thing. Without one, or where a request lacks it, any endpoint is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<HashKey>,
    /// How endpoints are laid out.
    #[serde(default)]
    pub table: HashTable,
}

/// What a request is hashed by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HashKey {
    /// A header of this name (lower case).
    HttpHeaderName(String),
    /// A cookie; made here where it is missing and has a TTL.
    HttpCookie(HttpCookie),
    /// The caller's address.
    UseSourceIp,
    /// A parameter of the query.
    HttpQueryParameterName(String),
}

/// A cookie by which an endpoint is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCookie {
    /// Its name.
    pub name: String,
    /// Its path, where it is made here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How long it lives. It is made here only if this is set; 0 makes a session's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// More about it, as in `SameSite`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CookieAttribute {
    /// Its name.
    pub name: String,
    /// Its value; empty for a flag such as `Secure`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// How endpoints are laid out for consistent hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HashTable {
    /// On a ring (ketama).
    RingHash {
        /// So many places there are at least; Istio's default is 1024.
        minimum_ring_size: u64,
    },
    /// In Maglev's table.
    Maglev {
        /// So many places there are, a prime number; the default is 65537.
        table_size: u64,
    },
}

impl Default for HashTable {
    /// A ring of at least 1024 places.
    fn default() -> Self {
        HashTable::RingHash { minimum_ring_size: 1024 }
    }
}

impl HashTable {
    /// Maglev's table of the default size.
    pub const MAGLEV: HashTable = HashTable::Maglev { table_size: 65537 };
}

/// Which places are preferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalityLbSetting {
    /// Whether it has an effect; `None` counts as yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Shares of places; goes before failover.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribute: Vec<LocalityDistribute>,
    /// Which region helps out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failover: Vec<LocalityFailover>,
    /// Labels, `KEY` or `KEY=VALUE`: endpoints that agree with the caller (or the value) in more of them, in order, go
    /// first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failover_priority: Vec<String>,
}

/// Shares of places for callers of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalityDistribute {
    /// Where the caller is: `REGION/ZONE/SUBZONE`, the last ones may be left out or `*`.
    pub from: String,
    /// Shares of 100 by place.
    pub to: BTreeMap<String, u32>,
}

/// Which region helps another out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalityFailover {
    /// The caller's region.
    pub from: String,
    /// The region that helps out.
    pub to: String,
}

/// How a new endpoint gets its share (Envoy's slow start).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Warmup {
    /// How long it takes.
    pub duration_ms: u64,
    /// It begins with so much of 100; 10 by default.
    #[serde(default = "minimum_percent")]
    pub minimum_percent: f64,
    /// How the share rises: evenly with 1 (the default), at first slower with less, at first faster with more.
    #[serde(default = "aggression")]
    pub aggression: f64,
}

fn minimum_percent() -> f64 {
    10.0
}

fn aggression() -> f64 {
    1.0
}

impl Warmup {
    /// A warm-up of that length with Istio's defaults.
    pub fn over(duration_ms: u64) -> Warmup {
        Warmup { duration_ms, minimum_percent: minimum_percent(), aggression: aggression() }
    }
}
