//! Which endpoint is called.

use meltemi_api::istio::traffic_policy as api;
use meltemi_policy::destination::rule::{
    ConsistentHash, CookieAttribute, HashKey, HashTable, HttpCookie, LoadBalancer,
    LocalityDistribute, LocalityFailover, LocalityLbSetting, SimpleLoadBalancer, Warmup,
};

use crate::read::millis;

pub(super) fn read(given: api::LoadBalancer) -> LoadBalancer {
    let old_warmup = given.warmup_duration_secs.map(|duration| Warmup::over(millis(duration)));
    LoadBalancer {
        simple: given.simple.and_then(simple),
        consistent_hash: given.consistent_hash.map(consistent_hash),
        locality_lb_setting: given.locality_lb_setting.map(locality),
        warmup: given.warmup.map(warmup).or(old_warmup),
    }
}

fn simple(given: api::SimpleLoadBalancer) -> Option<SimpleLoadBalancer> {
    use api::SimpleLoadBalancer as Given;
    Some(match given {
        Given::Unspecified => return None,
        Given::LeastConn | Given::LeastRequest => SimpleLoadBalancer::LeastRequest,
        Given::Random => SimpleLoadBalancer::Random,
        Given::Passthrough => SimpleLoadBalancer::Passthrough,
        Given::RoundRobin => SimpleLoadBalancer::RoundRobin,
    })
}

fn consistent_hash(given: api::ConsistentHash) -> ConsistentHash {
    let key = if let Some(name) = given.http_header_name {
        Some(HashKey::HttpHeaderName(name.to_ascii_lowercase()))
    } else if let Some(it) = given.http_cookie {
        Some(HashKey::HttpCookie(cookie(it)))
    } else if let Some(name) = given.http_query_parameter_name {
        Some(HashKey::HttpQueryParameterName(name))
    } else {
        given.use_source_ip.unwrap_or_default().then_some(HashKey::UseSourceIp)
    };
    let ring_size = given.ring_hash.and_then(|it| it.minimum_ring_size).or(given.minimum_ring_size);
    let table = match (given.maglev, ring_size.filter(|size| *size > 0)) {
        (Some(maglev), _) => match maglev.table_size.filter(|size| *size > 0) {
            Some(table_size) => HashTable::Maglev { table_size },
            None => HashTable::MAGLEV,
        },
        (None, Some(minimum_ring_size)) => HashTable::RingHash { minimum_ring_size },
        (None, None) => HashTable::default(),
    };
    ConsistentHash { key, table }
}

fn cookie(given: api::HttpCookie) -> HttpCookie {
    let attribute = |it: api::CookieAttribute| CookieAttribute { name: it.name, value: it.value };
    HttpCookie {
        name: given.name,
        path: given.path,
        ttl_ms: given.ttl.map(millis),
        attributes: given.attributes.into_iter().map(attribute).collect(),
    }
}

fn locality(given: api::LocalityLoadBalancer) -> LocalityLbSetting {
    let distribute = given.distribute.into_iter();
    let failover = given.failover.into_iter();
    LocalityLbSetting {
        enabled: given.enabled,
        distribute: distribute.map(|it| LocalityDistribute { from: it.from, to: it.to }).collect(),
        failover: failover.map(|it| LocalityFailover { from: it.from, to: it.to }).collect(),
        failover_priority: given.failover_priority,
    }
}

fn warmup(given: api::Warmup) -> Warmup {
    let Warmup { duration_ms, minimum_percent, aggression } = Warmup::over(millis(given.duration));
    Warmup {
        duration_ms,
        minimum_percent: given.minimum_percent.unwrap_or(minimum_percent),
        aggression: given.aggression.unwrap_or(aggression),
    }
}
