//! Figures that are read off the configuration in effect, at a scrape.

use std::collections::BTreeMap;

use meltemi_telemetry::Figures;

use crate::config::Snapshot;

/// The label by which Envoy's statistics of clusters go (its `cluster.NAME.` in Prometheus' text).
const CLUSTER: &str = "cluster_name";

/// What outlier detection has ejected, by cluster, as Envoy names it (`cluster.NAME.outlier_detection.` of its statistics).
pub(super) fn of(snapshot: &Snapshot) -> Vec<Figures> {
    let services = snapshot.services().map(|(_, service)| service);
    let clusters = services.flat_map(|it| it.clusters.iter().chain(&it.subsets));
    // A service of several names has the same clusters under each.
    let counted: BTreeMap<&str, (usize, u64)> =
        clusters.filter_map(|it| Some((&*it.name, it.ejections()?))).collect();
    let mut active = Figures::gauges(
        "envoy_cluster_outlier_detection_ejections_active",
        "Endpoints that are ejected.",
    );
    let mut enforced = Figures::counters(
        "envoy_cluster_outlier_detection_ejections_enforced_total",
        "Ejections of endpoints.",
    );
    for (name, (now, ever)) in counted {
        active.push(&[(CLUSTER, name)], now as f64);
        enforced.push(&[(CLUSTER, name)], ever as f64);
    }
    vec![active, enforced]
}
