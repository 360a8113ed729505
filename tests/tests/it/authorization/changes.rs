//! Policies that change under load: a change counts at once, for connections that stand too, and costs no connection.

use meltemi_tests::{Load, eventually, within};
use serde_json::json;

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_on_connections_that_stand() {
    let world = World::start().await;
    let mut connection = world.client.http().await;
    let mut held = world.client.http().await;
    held.send("GET http://web/hold HTTP/1.1\r\nhost: web\r\n\r\n").await;
    eventually("a request is under way", async || match world.app.in_flight() {
        1 => Ok(()),
        other => Err(format!("{other} in flight")),
    })
    .await;
    let deny = json!([{"to": [{"operation": {"paths": ["/x"]}}]}]);
    for _ in 0..3 {
        assert_eq!(connection.get("http://web/x").await.status, 200);
        world.policies(&[("DENY", deny.clone())]).await;
        assert_eq!(connection.get("http://web/x").await.status, 403);
        assert_eq!(connection.get("http://web/y").await.status, 200);
        world.policies(&[]).await;
    }
    // What is under way was judged when it came.
    world.policies(&[("DENY", json!([{}]))]).await;
    world.app.release();
    assert_eq!(held.response().await.status, 200);
    assert_eq!(held.get("http://web/").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_load_cost_no_request() {
    let world = World::start().await;
    let load = Load::start(world.client.outbound, "http://web/", 4);
    load.answers(100).await;
    for number in 0..20 {
        let other = json!([{"to": [{"operation": {"paths": [format!("/other-{number}")]}}]}]);
        let all = json!([{"from": [{"source": {"namespaces": ["default"]}}]}]);
        world.policies(&[("DENY", other), ("ALLOW", all)]).await;
        within("requests between changes", load.answers(10)).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures, Vec::<String>::new(), "{:?}", report.answers);
}
