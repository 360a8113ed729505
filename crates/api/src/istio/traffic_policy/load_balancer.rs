//! Which endpoint of a service is called.

use std::collections::BTreeMap;

use meltemi_names::is_cookie_text;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::refuse::{Path, Report, at_most_one};
use crate::values::{Duration, form, is_header_name};

/// Which endpoint is called.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By a rule that needs nothing of the request.
    pub simple: Option<SimpleLoadBalancer>,
    /// By something in the request: the same endpoint for the same thing.
    pub consistent_hash: Option<ConsistentHash>,
    /// Which places are preferred.
    pub locality_lb_setting: Option<LocalityLoadBalancer>,
    /// Old form of `warmup`.
    pub warmup_duration_secs: Option<Duration>,
    /// How a new endpoint gets its share.
    pub warmup: Option<Warmup>,
}

/// A rule that needs nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SimpleLoadBalancer {
    /// As the mesh thinks best.
    Unspecified,
    /// Old name of `LEAST_REQUEST`.
    LeastConn,
    /// Any.
    Random,
    /// The one that the caller meant.
    Passthrough,
    /// Each in turn.
    RoundRobin,
    /// Of two, the one with fewer requests under way.
    LeastRequest,
}

/// The same endpoint for the same thing in the request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsistentHash {
    /// The thing is a header.
    pub http_header_name: Option<String>,
    /// The thing is a cookie.
    pub http_cookie: Option<HttpCookie>,
    /// The thing is the caller's address.
    pub use_source_ip: Option<bool>,
    /// The thing is a parameter of the query.
    pub http_query_parameter_name: Option<String>,
    /// By a ring.
    pub ring_hash: Option<RingHash>,
    /// By Maglev's table.
    pub maglev: Option<Maglev>,
    /// Old form of the ring's size.
    pub minimum_ring_size: Option<u64>,
}

/// A cookie by which an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct HttpCookie {
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// Its path, where it is made here.
    #[serde(default)]
    pub path: String,
    /// How long it lives; it is made here if that is given.
    pub ttl: Option<Duration>,
    /// More about it.
    #[serde(default)]
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct CookieAttribute {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A ring of endpoints.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RingHash {
    /// How many places it has at least; 1024 where it is left out.
    pub minimum_ring_size: Option<u64>,
}

/// Maglev's table of endpoints.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Maglev {
    /// How many places it has, a prime number; 65537 where it is left out.
    pub table_size: Option<u64>,
}

/// Which places are preferred.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct LocalityLoadBalancer {
    /// Shares of places.
    pub distribute: Vec<LocalityDistribute>,
    /// Where traffic goes when a place fails.
    pub failover: Vec<LocalityFailover>,
    /// Labels by which endpoints are ranked: who shares more of them with the caller comes first.
    pub failover_priority: Vec<String>,
    /// Whether it has an effect; as the mesh says where it is left out.
    pub enabled: Option<bool>,
}

/// Shares of places for callers of one place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalityDistribute {
    /// Where the caller is, as in `region/zone/*`.
    pub from: String,
    /// Shares of 100 by place.
    pub to: BTreeMap<String, u32>,
}

/// Where traffic of a region goes when it fails.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalityFailover {
    /// The region that fails.
    pub from: String,
    /// The region that helps out.
    pub to: String,
}

/// How a new endpoint gets its share.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// How long that takes.
    pub duration: Duration,
    /// With how much of 100 it begins; 10 where it is left out.
    #[schemars(range(min = 0, max = 100))]
    pub minimum_percent: Option<f64>,
    /// How the share rises; 1, evenly, where it is left out.
    #[schemars(range(min = 0))]
    pub aggression: Option<f64>,
}

impl LoadBalancer {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        let choices =
            [("simple", self.simple.is_some()), ("consistentHash", self.consistent_hash.is_some())];
        at_most_one(&choices, at, report);
        if let Some(hash) = &self.consistent_hash {
            hash.check(&at.field("consistentHash"), report);
        }
        if let Some(locality) = &self.locality_lb_setting {
            locality.check(&at.field("localityLbSetting"), report);
        }
        let is_warm = self.warmup.is_some() || self.warmup_duration_secs.is_some();
        if is_warm && self.consistent_hash.is_some() {
            let message = "a new endpoint cannot get its share slowly with `consistentHash`";
            report.warn(at.clone(), message);
        }
    }
}

impl ConsistentHash {
    fn check(&self, at: &Path, report: &mut Report) {
        let things = [
            ("httpHeaderName", self.http_header_name.is_some()),
            ("httpCookie", self.http_cookie.is_some()),
            ("useSourceIp", self.use_source_ip.is_some()),
            ("httpQueryParameterName", self.http_query_parameter_name.is_some()),
        ];
        at_most_one(&things, at, report);
        if things.iter().all(|(_, is_set)| !is_set) {
            let message = "says nothing to choose by, so that any endpoint is called";
            report.warn(at.clone(), message);
        }
        let ways = [("ringHash", self.ring_hash.is_some()), ("maglev", self.maglev.is_some())];
        at_most_one(&ways, at, report);
        let of_ring = self.ring_hash.as_ref().and_then(|ring| ring.minimum_ring_size);
        for (at, size) in [
            (at.field("ringHash").field("minimumRingSize"), of_ring),
            (at.field("minimumRingSize"), self.minimum_ring_size),
        ] {
            if let Some(size) = size.filter(|size| *size > LARGEST_RING) {
                report.error(at, format!("{size} must be at most {LARGEST_RING}"));
            }
        }
        if let Some(size) = self.maglev.as_ref().and_then(|maglev| maglev.table_size)
            && !(size <= LARGEST_TABLE && is_prime(size))
        {
            let message = format!("{size} must be a prime number of at most 5000011");
            report.error(at.field("maglev").field("tableSize"), message);
        }
        if let Some(cookie) = &self.http_cookie {
            cookie.check(&at.field("httpCookie"), report);
        }
    }
}

/// The largest ring that Envoy makes (`Cluster.RingHashLbConfig.minimum_ring_size`).
const LARGEST_RING: u64 = 8_388_608;

/// The largest table of Maglev's that Envoy makes (`Cluster.MaglevLbConfig.table_size`).
const LARGEST_TABLE: u64 = 5_000_011;

/// Whether the number, which is not great, has no divisors but itself.
fn is_prime(number: u64) -> bool {
    let divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    number > 1 && divisors.into_iter().all(|divisor| !number.is_multiple_of(divisor))
}

impl HttpCookie {
    /// Checks that no part breaks the `set-cookie` that it is put into (RFC 6265, 4.1.1).
    fn check(&self, at: &Path, report: &mut Report) {
        if !self.name.is_empty() && !is_header_name(&self.name) {
            let message = format!("{:?} is not the name of a cookie: a token", self.name);
            report.error(at.field("name"), message);
        }
        check_cookie_text(&self.path, at.field("path"), report);
        for (index, attribute) in self.attributes.iter().enumerate() {
            let at = at.field("attributes").item(index);
            if !is_header_name(&attribute.name) {
                let message =
                    format!("{:?} is not the name of an attribute: a token", attribute.name);
                report.error(at.field("name"), message);
            }
            check_cookie_text(&attribute.value, at.field("value"), report);
        }
    }
}

fn check_cookie_text(text: &str, at: Path, report: &mut Report) {
    if !is_cookie_text(text) {
        report.error(at, format!("{text:?} has `;` or a character that is no letter of ASCII"));
    }
}

/// Whether a place overlaps with one that is named before it. A wider one may follow a narrower, if it ends in `*` (Istio's
/// `validateLocalities`).
fn overlaps(before: &str, place: &str) -> bool {
    let mut parts = before.splitn(3, '/').zip(place.splitn(3, '/'));
    parts.find(|(before, own)| *before == "*" || before != own).is_none_or(|(it, _)| it == "*")
}

impl LocalityLoadBalancer {
    fn check(&self, at: &Path, report: &mut Report) {
        let ways =
            [("distribute", !self.distribute.is_empty()), ("failover", !self.failover.is_empty())];
        at_most_one(&ways, at, report);
        for (index, share) in self.distribute.iter().enumerate() {
            let at = at.field("distribute").item(index);
            let total: u64 = share.to.values().map(|share| u64::from(*share)).sum();
            if total != 100 {
                report.error(at.field("to"), format!("the shares add up to {total}, not 100"));
            }
            for (place, _) in share.to.iter().filter(|(_, share)| **share == 0) {
                report.error(at.field("to").field(place), "0 is no share").suggest("leave it out");
            }
            let before = self.distribute.iter().take(index);
            if let Some(first) = before.into_iter().position(|it| overlaps(&it.from, &share.from)) {
                let message = format!(
                    "`{}` overlaps with `{}` of [{first}]",
                    share.from, self.distribute[first].from
                );
                report.error(at.field("from"), message);
            }
        }
        for (index, failover) in self.failover.iter().enumerate() {
            if failover.from == failover.to {
                let message = format!("`{}` cannot help itself out", failover.to);
                report.error(at.field("failover").item(index).field("to"), message);
            }
        }
    }
}
