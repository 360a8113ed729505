//! The proxy's state as JSON: configuration in effect, and certificates. Never a key.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_policy::jwt::Authentication;
use meltemi_policy::outlier::Out;
use meltemi_policy::peer::Mode;
use meltemi_wire::delta::Connection;
use serde_json::{Value, json};

use crate::config::{Cluster, Endpoint, Inbound, InboundPort, Service, Snapshot};
use crate::shared::Shared;

/// What is in effect now, and what was set aside.
pub(super) fn config(shared: &Shared) -> Value {
    let set_aside: Vec<Value> = shared
        .mesh
        .set_aside()
        .into_iter()
        .map(|(name, reason)| json!({"name": name, "reason": reason}))
        .collect();
    let mut dump = snapshot(&shared.mesh.current());
    dump["workload"] = json!({
        "name": shared.local.workload,
        "namespace": shared.local.namespace,
        "id": shared.identity.id().to_string(),
    });
    dump["control_plane"] = connection(&shared.mesh.connection().borrow());
    dump["set_aside"] = json!(set_aside);
    dump
}

fn snapshot(snapshot: &Snapshot) -> Value {
    let mut services: Vec<(&str, Value)> =
        snapshot.services().map(|(asked, found)| (asked, service(asked, found))).collect();
    services.sort_unstable_by_key(|(asked, _)| *asked);
    let services: Vec<Value> = services.into_iter().map(|(_, service)| service).collect();
    let own = snapshot.inbound();
    let inbound: Vec<Value> = own.ports.iter().map(|port| inbound(own, port)).collect();
    let listeners = snapshot.own().listeners.iter().map(|it| {
        json!({"bind": it.bind.to_string(), "protocol": it.protocol.as_str(), "hosts": it.hosts})
    });
    json!({
        "generation": snapshot.generation,
        "services": services,
        "inbound": inbound,
        "egress_listeners": listeners.collect::<Vec<_>>(),
        "tokens": own.authentication.all().map(|(host, it)| tokens(host, it)).collect::<Vec<_>>(),
    })
}

/// Whose tokens are taken, and of whom there are no keys.
fn tokens(host: Option<&str>, rules: &Authentication) -> Value {
    if let Some(reason) = rules.closed_because() {
        return json!({"host": host, "refuses_everything_because": reason});
    }
    let policies = rules.sources().iter().map(|it| format!("{}/{}", it.namespace, it.name));
    let issuers = rules.issuers().map(|(issuer, keys)| match keys {
        Ok(keys) => json!({"issuer": issuer, "keys": keys}),
        Err(why) => json!({"issuer": issuer, "refuses_all_because": why.to_string()}),
    });
    json!({
        "host": host,
        "request_authentications": policies.collect::<Vec<_>>(),
        "issuers": issuers.collect::<Vec<_>>(),
    })
}

fn service(asked: &str, service: &Service) -> Value {
    let dumps = |clusters: &[Arc<Cluster>]| clusters.iter().map(|it| cluster(it)).collect();
    let (ports, subsets): (Vec<Value>, Vec<Value>) =
        (dumps(&service.clusters), dumps(&service.subsets));
    let mut dump = json!({
        "asked": asked,
        "host": &*service.host,
        "external": service.external,
        "ports": ports,
    });
    if !subsets.is_empty() {
        dump["subsets"] = json!(subsets);
    }
    dump
}

fn cluster(cluster: &Cluster) -> Value {
    let endpoints = cluster.endpoints().iter().enumerate();
    let endpoints: Vec<Value> =
        endpoints.map(|(index, it)| endpoint(it, cluster.out(index))).collect();
    json!({
        "name": &*cluster.name,
        "port": cluster.port,
        "port_name": cluster.port_name,
        "protocol": cluster.protocol.as_str(),
        "endpoints": endpoints,
    })
}

/// `out`: that outlier detection has ejected it.
fn endpoint(endpoint: &Endpoint, out: Option<Out>) -> Value {
    let mut dump = json!({
        "workload": format!("{}/{}", endpoint.namespace, endpoint.workload),
        "address": endpoint.address.to_string(),
        "port": endpoint.port,
        "weight": endpoint.weight,
        "labels": endpoint.labels,
    });
    if let Some(Out { reason, left }) = out {
        let seconds_left = left.as_secs_f64().ceil();
        dump["ejected"] = json!({"reason": reason.as_str(), "seconds_left": seconds_left});
    }
    if !endpoint.locality.is_empty() {
        dump["locality"] = json!(endpoint.locality);
    }
    if let Some(tls) = &endpoint.tls {
        dump["mutual_tls"] = json!({"port": tls.port, "id": tls.identity.to_string()});
        if endpoint.is_plaintext {
            dump["peer_authentication"] = json!(Mode::Disable.as_str());
        }
    }
    dump
}

fn inbound(own: &Inbound, port: &InboundPort) -> Value {
    let policies = own.authorization.of(&port.host);
    let names = policies.into_iter().flat_map(|it| it.names());
    let names: Vec<String> = names.map(|(namespace, name)| format!("{namespace}/{name}")).collect();
    let unreadable = policies.and_then(|it| it.closed_because());
    let mut dump = json!({
        "host": &*port.host,
        "service_port": port.service_port,
        "target_port": port.target_port,
        "application": port.app.place.at.to_string(),
        "protocol": port.protocol.as_str(),
        "peer_authentication": port.mode.as_str(),
        "authorization_policies": names,
    });
    if let Some(reason) = unreadable {
        dump["refuses_everything_because"] = json!(reason);
    }
    dump
}

fn connection(connection: &Connection) -> Value {
    match connection {
        Connection::Connected { since } => {
            json!({"connected": true, "for_s": since.elapsed().as_secs()})
        }
        Connection::Disconnected { since, reason } => {
            json!({"connected": false, "for_s": since.elapsed().as_secs(), "reason": reason})
        }
    }
}

/// The certificate's id and validity, and how many roots are trusted. Times are seconds since 1970.
pub(super) fn certificates(shared: &Shared) -> Value {
    let (svid, bundle) = (shared.identity.svid(), shared.identity.bundle());
    let left = svid.not_after().duration_since(SystemTime::now()).unwrap_or_default();
    json!({
        "certificates": [{
            "id": svid.id().to_string(),
            "not_before": seconds(svid.not_before()),
            "not_after": seconds(svid.not_after()),
            "seconds_left": left.as_secs(),
            "chain": svid.chain_pem(),
        }],
        "roots": {"count": bundle.roots().len(), "bundle": bundle.to_pem()},
    })
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
