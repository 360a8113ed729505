//! The records of answers.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::locate::{Located, to_name};
use crate::message::Reply;
use crate::names::{Address, Endpoint, Port};
use crate::zone::TTL;

/// SRV records, and the addresses of their targets.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) answers: Vec<Record>,
    pub(super) additionals: Vec<Record>,
}

/// Whether addresses are asked for, of one kind or of all.
pub(super) fn is_address(wanted: RecordType) -> bool {
    matches!(wanted, RecordType::A | RecordType::AAAA | RecordType::ANY)
}

/// The addresses of a service, each once, another one first at each `rotation`.
pub(super) fn addresses(
    owner: &Name,
    located: &Located,
    wanted: RecordType,
    rotation: usize,
) -> Vec<Record> {
    let of_kind = |ip: &IpAddr| match wanted {
        RecordType::A => ip.is_ipv4(),
        RecordType::AAAA => ip.is_ipv6(),
        _ => true,
    };
    let found =
        meant(located).iter().filter_map(|endpoint| endpoint.ip()).filter(of_kind).collect();
    let found = unique(found);
    rotated(&found, rotation).map(|ip| address(owner.clone(), *ip)).collect()
}

/// For each port and endpoint a record, as Kubernetes gives them for services without an address of their own.
pub(super) fn srv(owner: &Name, located: &Located, ports: &[&Port], rotation: usize) -> Services {
    let endpoints = meant(located);
    let mut services = Services::default();
    let mut seen_records = HashSet::new();
    let mut seen_addresses = HashSet::new();
    for port in ports {
        for endpoint in rotated(&endpoints, rotation) {
            let Some(target) = target(located, endpoint) else { continue };
            let number = endpoint.port(port.number);
            if !seen_records.insert((number, target.clone())) {
                continue;
            }
            let weight = u16::try_from(endpoint.weight.max(1)).unwrap_or(u16::MAX);
            let data = RData::SRV(SRV::new(0, weight, number, target.clone()));
            services.answers.push(Record::from_rdata(owner.clone(), TTL, data));
            if let Some(ip) = endpoint.ip()
                && seen_addresses.insert((target.clone(), ip))
            {
                services.additionals.push(address(target, ip));
            }
        }
    }
    services
}

/// The host name of one endpoint.
fn target(located: &Located, endpoint: &Endpoint) -> Option<Name> {
    if let Address::Host(host) = &endpoint.address {
        return to_name(host);
    }
    let host = &located.service.host;
    match &located.endpoint {
        Some(_) if host.is_wildcard() => to_name(&located.host),
        _ if host.is_wildcard() => to_name(&format!("{}.{}", endpoint.label(), located.host)),
        _ => to_name(&format!("{}.{host}", endpoint.label())),
    }
}

/// The endpoints that the name means: all, or the one that it names.
fn meant(located: &Located) -> Vec<&Endpoint> {
    let is_meant = |endpoint: &&Endpoint| match &located.endpoint {
        Some(label) => endpoint.ip().is_some() && endpoint.label() == *label,
        None => true,
    };
    located.service.endpoints.iter().filter(is_meant).collect()
}

/// `name` is another name of `target`.
pub(super) fn alias(name: &Name, target: &Name) -> Record {
    Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target.clone())))
}

/// What says how long a negative answer holds.
pub(super) fn soa(owner: &Name, apex: &Name) -> Record {
    let below = |labels: &str| {
        let labels = Name::from_labels(labels.split('.').map(str::as_bytes));
        labels.and_then(|labels| labels.append_name(apex)).unwrap_or_else(|_| apex.clone())
    };
    // Nothing is transferred from this zone, so that its serial number and intervals are read by nobody.
    let data = SOA::new(below("ns.dns"), below("hostmaster"), 1, 7200, 1800, 86400, TTL);
    Record::from_rdata(owner.clone(), TTL, RData::SOA(data))
}

/// `localhost` and all below it is this machine (RFC 6761).
pub(super) fn localhost(query: &Query, soa: Record) -> Reply {
    let ips: &[IpAddr] = match query.query_type() {
        RecordType::A => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        RecordType::AAAA => &[IpAddr::V6(Ipv6Addr::LOCALHOST)],
        RecordType::ANY => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        _ => &[],
    };
    let answers = ips.iter().map(|ip| address(query.name().clone(), *ip)).collect();
    let authorities = if ips.is_empty() { vec![soa] } else { Vec::new() };
    Reply { authoritative: true, answers, authorities, ..Reply::default() }
}

fn address(owner: Name, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    Record::from_rdata(owner, TTL, data)
}

/// The items beginning with the `rotation`th, around the end.
pub(super) fn rotated<T>(items: &[T], rotation: usize) -> impl Iterator<Item = &T> {
    let first = rotation.checked_rem(items.len()).unwrap_or(0);
    items[first..].iter().chain(&items[..first])
}

fn unique<T: Hash + Eq + Copy>(mut items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(items.len());
    items.retain(|item| seen.insert(*item));
    items
}
