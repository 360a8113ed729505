//! What proxies say to the registry, for the fuzz targets in `fuzz/`.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use meltemi_model::record::ObjectKind;
use meltemi_model::{Model, Object, Settings, Snapshot, Viewer, read};
use meltemi_names::SpiffeId;
use meltemi_wire::load_stats::LoadStatsRequest;
use meltemi_wire::proto::meltemi::v1::RegisteredWorkload;
use prost::Message as _;
use serde_json::{Value, json};

use crate::left::Left;
use crate::load_stats;
use crate::registration;

/// Who says it.
static CALLER: LazyLock<SpiffeId> =
    LazyLock::new(|| "spiffe://cluster.local/ns/shop/sa/web".parse().expect("an id"));

/// A service of two ports with an endpoint, and one that another namespace alone sees.
static MESH: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let settings = Settings::new("cluster.local".parse().expect("a domain"), "svc.cluster.local");
    let change = |kind: ObjectKind, namespace: &str, name: &str, mut resource: Value| {
        resource["metadata"]["name"] = name.into();
        resource["metadata"]["namespace"] = namespace.into();
        read::change(Object::new(kind, namespace, name), &resource, &settings)
    };
    let ports = json!([{"name": "http", "port": 80}, {"name": "tcp", "port": 90}]);
    let service = |exported: &str| {
        json!({
            "metadata": {"annotations": {"networking.istio.io/exportTo": exported}},
            "spec": {"ports": ports, "selector": {"app": "web"}},
        })
    };
    let entry = json!({"spec": {
        "address": "10.0.0.1", "labels": {"app": "web"}, "ports": {"http": 8080, "tcp": 8090},
    }});
    let changes = [
        change(ObjectKind::Service, "shop", "web", service("*")),
        change(ObjectKind::Service, "other", "web", service(".")),
        change(ObjectKind::WorkloadEntry, "shop", "web-1", entry),
    ];
    Model::new(settings.clone()).apply(1, changes).0
});

/// A report of load: it tells of services and endpoints alone that the reporter sees.
pub fn load_stats(bytes: &[u8]) {
    let Ok(request) = LoadStatsRequest::decode(bytes) else { return };
    let viewer = Viewer::of("shop");
    let left = Left::new(Instant::now());
    for report in load_stats::reports(&MESH, &left, &viewer, &request.cluster_stats) {
        let endpoint = report.endpoint;
        assert_eq!(&*endpoint.host, "web.shop.svc.cluster.local");
        assert!([80, 90].contains(&endpoint.port), "{endpoint:?}");
        assert!(["shop/web-1", load_stats::ALL_ENDPOINTS].contains(&&*endpoint.workload));
    }
}

/// A registration: who is let in is the caller's own, and what is written of it can be read.
pub fn registration(bytes: &[u8]) {
    let Ok(workload) = RegisteredWorkload::decode(bytes) else { return };
    let Some(entry) = registration::fuzzing::entry(&workload, &CALLER) else { return };
    assert_eq!(entry["metadata"]["namespace"], "shop");
    assert_eq!(entry["spec"]["serviceAccount"], "web");
    assert_eq!(entry["metadata"]["name"], workload.name);
    let numbers: BTreeSet<_> = workload.ports.iter().map(|port| port.number).collect();
    assert_eq!(entry["spec"]["ports"].as_object().map(|it| it.len()), Some(numbers.len()));
}
