//! Counts as messages of Envoy's load reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_policy::outcome::Tally;
use meltemi_policy::outlier::Out;
use meltemi_wire::ext_authz::{Address, AddressKind, PortSpecifier, SocketAddress};
use meltemi_wire::load_stats::{
    ClusterStats, Extension, Locality, UpstreamEndpointStats, UpstreamLocalityStats,
};

use super::counted::{Counted, Named};

/// Endpoints of a locality in one message: more come as the same locality again.
const CHUNK: usize = 500;

type Taken = (Arc<Counted>, (Tally, Option<Out>));

/// A report of all that was taken, by service port and locality. The name is that of Envoy's cluster.
pub(super) fn clusters(taken: Vec<Taken>, by_endpoint: bool) -> Vec<ClusterStats> {
    let mut clusters: BTreeMap<(&str, u16), BTreeMap<&str, Vec<&Taken>>> = BTreeMap::new();
    for it in &taken {
        let Named { host, port, locality, .. } = &it.0.named;
        clusters.entry((host, *port)).or_default().entry(locality).or_default().push(it);
    }
    let stats = clusters.into_iter().map(|((host, port), localities)| ClusterStats {
        cluster_name: format!("outbound|{port}||{host}"),
        cluster_service_name: host.to_owned(),
        upstream_locality_stats: localities
            .iter()
            .flat_map(|(locality, endpoints)| {
                endpoints
                    .chunks(CHUNK)
                    .map(|endpoints| of_locality(locality, endpoints, by_endpoint))
            })
            .collect(),
        ..ClusterStats::default()
    });
    stats.collect()
}

fn of_locality(locality: &str, endpoints: &[&Taken], by_endpoint: bool) -> UpstreamLocalityStats {
    let mut sum = Tally::default();
    let mut in_flight = 0;
    for (_, (tally, _)) in endpoints {
        sum.merge(tally);
        in_flight = u64::saturating_add(in_flight, tally.in_flight);
    }
    let mut parts = locality.splitn(3, '/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let told = endpoints.iter().filter(|_| by_endpoint);
    UpstreamLocalityStats {
        locality: Some(Locality { region: part(), zone: part(), sub_zone: part() }),
        total_successful_requests: sum.succeeded(),
        total_requests_in_progress: in_flight,
        total_error_requests: sum.failed(),
        total_issued_requests: sum.issued,
        upstream_endpoint_stats: told
            .map(|(counted, (tally, ejected))| of_endpoint(&counted.named, tally, *ejected))
            .collect(),
        ..UpstreamLocalityStats::default()
    }
}

fn of_endpoint(named: &Named, tally: &Tally, ejected: Option<Out>) -> UpstreamEndpointStats {
    let (address, port) = &named.address;
    let socket = SocketAddress {
        address: address.clone(),
        port_specifier: Some(PortSpecifier::PortValue((*port).into())),
        ..SocketAddress::default()
    };
    let extension = Extension {
        workload: Some(named.workload.clone()),
        tally: Some(tally.clone()),
        ejected: ejected.map(|out| out.reason.as_str().to_owned()),
        ejected_for: ejected.map(|out| out.left),
    };
    UpstreamEndpointStats {
        address: Some(Address { address: Some(AddressKind::SocketAddress(socket)) }),
        metadata: Some(extension.to_metadata()),
        total_successful_requests: tally.succeeded(),
        total_requests_in_progress: tally.in_flight,
        total_error_requests: tally.failed(),
        total_issued_requests: tally.issued,
        ..UpstreamEndpointStats::default()
    }
}
