//! Where callers and endpoints are, and how much of the calls each endpoint is to have.

use meltemi_tests::HttpApp;

use super::shop::{Shop, apps};
use super::{count, has_share};

const FAST: &str = "outlierDetection: {consecutive5xxErrors: 1, interval: 1s,
    baseEjectionTime: 300s, maxEjectionPercent: 100}";
const HERE: &str = "istio-locality=eu.a.1";

/// A caller in `eu/a/1` and an endpoint in each of three regions.
async fn three_regions() -> (Shop, [HttpApp; 3]) {
    let shop = Shop::start(&[HERE]).await;
    let apps = apps(["near", "us", "asia"]).await;
    let places = ["locality: eu/a/1", "locality: us/b", "locality: asia"];
    let endpoints: Vec<_> = apps.iter().map(HttpApp::port).zip(places).collect();
    shop.endpoints(&endpoints).await;
    (shop, apps)
}

/// Has the nearest endpoint fail once, after which it is left out.
async fn near_fails(shop: &Shop, near: &HttpApp) {
    near.set_status(500);
    let failed = shop.get("/set").await;
    assert_eq!((failed.status, failed.served_by()), (500, "near"));
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.enabled,
/// ServiceEntry spec.endpoints[].locality
#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_endpoint_is_called_where_failover_is_on() {
    let (shop, _apps) = three_regions().await;
    shop.policy(&format!("{{{FAST}}}")).await;
    assert_eq!(shop.turns(30).await, ["near"; 30]);
    shop.policy(&format!("{{{FAST}, loadBalancer: {{localityLbSetting: {{enabled: false}}}}}}"))
        .await;
    let turns = shop.turns(30).await;
    assert_eq!(["near", "us", "asia"].map(|it| count(&turns, it)), [10; 3], "{turns:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].from,
/// DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].to
#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_fails_is_stood_in_for_by_the_one_that_the_rule_names() {
    for other in ["us", "asia"] {
        let (shop, apps) = three_regions().await;
        let failover = format!("failover: [{{from: eu, to: {other}}}]");
        shop.policy(&format!("{{{FAST}, loadBalancer: {{localityLbSetting: {{{failover}}}}}}}"))
            .await;
        assert_eq!(shop.turns(10).await, ["near"; 10]);
        near_fails(&shop, &apps[0]).await;
        assert_eq!(shop.turns(20).await, [other; 20]);
    }
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].from,
/// DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].to.*
#[tokio::test(flavor = "multi_thread")]
async fn calls_from_a_place_are_distributed_by_shares() {
    let (shop, _apps) = three_regions().await;
    let to = |shares: &str| {
        let distribute = format!("distribute: [{{from: eu/*, to: {{{shares}}}}}]");
        format!("{{loadBalancer: {{localityLbSetting: {{{distribute}}}}}}}")
    };
    shop.policy(&to("eu/a/1: 20, us/*: 80")).await;
    has_share("us", 0.8, 400, async || {
        let turns = shop.turns(400).await;
        assert_eq!(count(&turns, "asia"), 0, "a place without a share gets nothing");
        count(&turns, "us")
    })
    .await;
    shop.policy(&to("asia: 100")).await;
    assert_eq!(shop.turns(20).await, ["asia"; 20]);
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[]
#[tokio::test(flavor = "multi_thread")]
async fn labels_in_common_go_before_one_after_another() {
    let shop = Shop::start(&["tier=front", "rack=7"]).await;
    let apps = apps(["near", "tier", "none"]).await;
    let labels =
        ["labels: {tier: front, rack: '7'}", "labels: {tier: front}", "labels: {rack: '7'}"];
    let endpoints: Vec<_> = apps.iter().map(HttpApp::port).zip(labels).collect();
    shop.endpoints(&endpoints).await;
    let setting = "localityLbSetting: {failoverPriority: [tier, rack]}";
    shop.policy(&format!("{{{FAST}, loadBalancer: {{{setting}}}}}")).await;
    assert_eq!(shop.turns(10).await, ["near"; 10]);
    near_fails(&shop, &apps[0]).await;
    assert_eq!(shop.turns(10).await, ["tier"; 10]);
}

/// Fields: ServiceEntry spec.endpoints[].weight
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_have_calls_by_their_weights() {
    let shop = Shop::start(&[]).await;
    let apps = apps(["heavy", "light"]).await;
    shop.endpoints(&[(apps[0].port(), "weight: 3"), (apps[1].port(), "")]).await;
    shop.policy("{}").await;
    let turns = shop.turns(40).await;
    assert_eq!(["heavy", "light"].map(|it| count(&turns, it)), [30, 10], "{turns:?}");
}

/// Fields: ServiceEntry spec.workloadSelector.labels.*, WorkloadEntry spec.address, WorkloadEntry spec.labels.*,
/// WorkloadEntry spec.locality, WorkloadEntry spec.ports.*, WorkloadEntry spec.weight
#[tokio::test(flavor = "multi_thread")]
async fn workload_entries_that_a_service_selects_are_its_endpoints() {
    let shop = Shop::start(&[HERE]).await;
    let apps = apps(["heavy", "light", "far", "other"]).await;
    let fields = [
        "labels: {app: shop}, locality: eu/a/1, weight: 3",
        "labels: {app: shop}, locality: eu/a/1",
        "labels: {app: shop}, locality: us",
        "labels: {app: other}, locality: eu/a/1",
    ];
    for (at, (app, fields)) in apps.iter().zip(fields).enumerate() {
        shop.mesh
            .apply(&format!(
                "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: e{at}}},
                  spec: {{address: 127.0.0.1, ports: {{http: {}}}, {fields}}}}}",
                app.port()
            ))
            .await;
    }
    shop.entry("workloadSelector: {labels: {app: shop}}").await;
    shop.policy(&format!("{{{FAST}}}")).await;
    let turns = shop.turns(40).await;
    assert_eq!(["heavy", "light"].map(|it| count(&turns, it)), [30, 10], "{turns:?}");
    shop.policy("{}").await;
    let turns = shop.turns(50).await;
    assert_eq!(["heavy", "light", "far"].map(|it| count(&turns, it)), [30, 10, 10], "{turns:?}");
}
