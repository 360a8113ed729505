//! Balancing by a hash: the same thing goes to the same instance, different things go to all.

use std::collections::BTreeSet;

use super::World;

const VERSIONS: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// Calls for many users, three times each; every user must have an instance of their own, and no instance all users.
async fn sticks_and_spreads(world: &World, request: impl Fn(usize) -> (String, String)) {
    let mut calls = world.client.http().await;
    let mut all = BTreeSet::new();
    for user in 0..40 {
        let (target, field) = request(user);
        let (name, value) = field.split_once('=').unwrap_or(("x-nothing", "1"));
        let mut own = BTreeSet::new();
        for _ in 0..3 {
            let response = calls.call("GET", &target, &[(name, value)], b"").await;
            assert_eq!(response.status, 200, "{}", response.text());
            own.insert(response.served_by().to_owned());
        }
        assert_eq!(own.len(), 1, "user {user}: {own:?}");
        all.extend(own);
    }
    assert!(all.len() >= 3, "40 users are spread over four instances: {all:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName,
/// spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize,
/// spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize
#[tokio::test(flavor = "multi_thread")]
async fn a_field_chooses_the_instance() {
    let world = World::start(&VERSIONS).await;
    for algorithm in ["", ", ringHash: {minimumRingSize: 2048}", ", maglev: {tableSize: 1009}"] {
        let hash = format!("{{httpHeaderName: x-user{algorithm}}}");
        world.policy(&format!("{{loadBalancer: {{consistentHash: {hash}}}}}")).await;
        sticks_and_spreads(&world, |user| ("http://hello/".into(), format!("x-user=u{user}")))
            .await;
    }
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.httpQueryParameterName
#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_chooses_the_instance() {
    let world = World::start(&VERSIONS).await;
    world.policy("{loadBalancer: {consistentHash: {httpQueryParameterName: user}}}").await;
    sticks_and_spreads(&world, |user| (format!("http://hello/?a=b&user=u{user}"), String::new()))
        .await;
    let without: BTreeSet<_> = world.turns("/", 40).await.into_iter().collect();
    assert!(without.len() >= 3, "requests without it go anywhere: {without:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name,
/// spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path,
/// spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_made_and_chooses_the_instance_from_then_on() {
    let world = World::start(&VERSIONS).await;
    world
        .policy(
            "{loadBalancer: {consistentHash: {httpCookie: {name: user, path: /shop, ttl: 60s}}}}",
        )
        .await;
    let mut all = BTreeSet::new();
    for _ in 0..20 {
        let first = world.get("/").await;
        let cookie = first.header("set-cookie").expect("a cookie is made").to_owned();
        for part in ["user=", "Max-Age=60", "Path=/shop", "HttpOnly"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        let pair = cookie.split(';').next().unwrap();
        for _ in 0..3 {
            let again = world.call("GET", "/", &[("cookie", pair)], b"").await;
            assert_eq!(again.served_by(), first.served_by());
            assert_eq!(again.header("set-cookie"), None, "it is made once");
        }
        all.insert(first.served_by().to_owned());
    }
    assert!(all.len() >= 3, "20 users are spread over four instances: {all:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.useSourceIp
#[tokio::test(flavor = "multi_thread")]
async fn calls_from_one_address_go_to_one_instance() {
    let world = World::start(&VERSIONS).await;
    world.policy("{loadBalancer: {consistentHash: {useSourceIp: true}}}").await;
    let turns: BTreeSet<_> = world.turns("/", 40).await.into_iter().collect();
    assert_eq!(turns.len(), 1, "{turns:?}");
}

/// Fields: DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].name,
/// spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].value,
/// spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_made_has_the_attributes_of_the_rule() {
    let world = World::start(&VERSIONS).await;
    let cookie =
        "{name: user, ttl: 60s, attributes: [{name: SameSite, value: Strict}, {name: Secure}]}";
    let hash = format!("{{minimumRingSize: 64, httpCookie: {cookie}}}");
    world.policy(&format!("{{loadBalancer: {{consistentHash: {hash}}}}}")).await;
    let first = world.get("/").await;
    let cookie = first.header("set-cookie").expect("a cookie is made");
    for part in ["SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    for _ in 0..5 {
        let again = world.call("GET", "/", &[("cookie", pair)], b"").await;
        assert_eq!(again.served_by(), first.served_by());
    }
}
