//! Rules that change under load.

use std::time::Duration;

use meltemi_tests::{Load, within};
use serde_json::json;

use super::World;

const RULES: &str = "/apis/networking.istio.io/v1/namespaces/default";

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_under_load_cost_no_request() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world.route("{route: [{destination: {host: hello, subset: v1}}]}").await;
    let load = Load::start(world.client.outbound, "http://hello/", 4);
    load.answers(100).await;
    let (api, kind) = (world.mesh.api(), "application/merge-patch+json");
    let to = |subset: &str, weight: usize| json!({"destination": {"host": "hello", "subset": subset}, "weight": weight});
    for at in 1..=100 {
        let (path, spec) = match at % 2 {
            0 => {
                let route = json!([to("v1", 100 - at), to("v2", at)]);
                ("virtualservices", json!({"http": [{"route": route}]}))
            }
            _ => {
                let simple = ["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"][at % 3];
                let policy = json!({"loadBalancer": {"simple": simple}});
                ("destinationrules", json!({"trafficPolicy": policy}))
            }
        };
        let path = format!("{RULES}/{path}/hello");
        let (status, answer) = api.call("PATCH", &path, kind, &json!({"spec": spec})).await;
        assert_eq!(status, 200, "{answer}");
        // Paced by the load, so that the changes meet requests; a slow machine is not waited for.
        drop(tokio::time::timeout(Duration::from_millis(30), load.answers(10)).await);
    }
    // The last change leaves nothing to v1.
    let last = async {
        while world.turns("/", 10).await != ["hello-v2"; 10] {
            load.answers(1).await;
        }
    };
    within("the last change has arrived", last).await;
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
    assert_eq!(report.answers.len(), 2, "{:?}", report.answers);
}
