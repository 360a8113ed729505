//! Fields that rules set, add and remove, for a rule and for one of its destinations.

use serde_json::Value;

use super::World;

fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = seen["headers"].as_array().expect("a list");
    let mut all: Vec<_> =
        headers.iter().filter(|it| it[0] == name).filter_map(|it| it[1].as_str()).collect();
    all.sort_unstable();
    all
}

/// Fields: VirtualService spec.http[].headers.request.set.*, spec.http[].headers.request.add.*,
/// spec.http[].headers.request.remove[], spec.http[].route[].headers.request.set.*,
/// spec.http[].route[].headers.request.add.*, spec.http[].route[].headers.request.remove[]
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_request_change_on_both_levels() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{headers: {request: {set: {x-set: rule}, add: {x-add: rule}, remove: [x-gone]}},
              route: [{destination: {host: hello},
                headers: {request: {set: {x-own: one}, add: {x-add: one}, remove: [x-lost]}}}]}",
        )
        .await;
    let sent =
        [("x-set", "mine"), ("x-add", "mine"), ("x-gone", "1"), ("x-lost", "1"), ("x-kept", "1")];
    let seen = world.call("GET", "/echo", &sent, b"").await.json();
    for (name, expected) in [
        ("x-set", &["rule"][..]),
        ("x-add", &["mine", "one", "rule"]),
        ("x-own", &["one"]),
        ("x-gone", &[]),
        ("x-lost", &[]),
        ("x-kept", &["1"]),
    ] {
        assert_eq!(values(&seen, name), expected, "{name}");
    }
}

/// Fields: VirtualService spec.http[].headers.response.set.*, spec.http[].headers.response.add.*,
/// spec.http[].headers.response.remove[], spec.http[].route[].headers.response.set.*,
/// spec.http[].route[].headers.response.add.*, spec.http[].route[].headers.response.remove[]
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_response_change_on_both_levels() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{headers: {response: {set: {content-type: text/x-rule}, add: {x-add: rule}, remove: [date]}},
              route: [{destination: {host: hello},
                headers: {response: {add: {x-add: one}, set: {x-own: one}, remove: [x-served-by]}}}]}",
        )
        .await;
    let response = world.get("/echo").await;
    assert_eq!((response.status, response.header("x-served-by")), (200, None));
    assert_eq!((response.header("x-own"), response.header("date")), (Some("one"), None));
    let all = |name| response.headers.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str());
    assert_eq!(all("content-type").collect::<Vec<_>>(), ["text/x-rule"]);
    let mut added: Vec<_> = all("x-add").collect();
    added.sort_unstable();
    assert_eq!(added, ["one", "rule"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_destination_are_for_requests_that_go_there() {
    let world = World::start(&["v1", "v2"]).await;
    world.destination(&["v1", "v2"], "").await;
    world
        .route(
            "{route: [
                {destination: {host: hello, subset: v1}, weight: 50,
                 headers: {response: {set: {x-way: hello-v1}}, request: {set: {x-way: hello-v1}}}},
                {destination: {host: hello, subset: v2}, weight: 50,
                 headers: {response: {set: {x-way: hello-v2}}, request: {set: {x-way: hello-v2}}}}]}",
        )
        .await;
    for _ in 0..30 {
        let response = world.get("/echo").await;
        assert_eq!(response.header("x-way"), Some(response.served_by()));
        assert_eq!(values(&response.json(), "x-way"), [response.served_by()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_set_is_the_authority() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{headers: {request: {set: {Host: set.example.com}}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    let seen = world.get("/echo").await.json();
    assert_eq!(values(&seen, "host"), ["set.example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_leave_alone_what_says_where_a_message_ends() {
    let world = World::start(&["v1"]).await;
    world
        .route(
            "{headers: {request: {set: {content-length: '3', transfer-encoding: chunked, connection: close}},
                        response: {set: {content-length: '5'}, remove: [content-length]}},
              route: [{destination: {host: hello}}]}",
        )
        .await;
    for (method, body) in [("GET", &b""[..]), ("POST", b"a whole body")] {
        let response = world.call(method, "/echo", &[("x-own", "1")], body).await;
        assert_eq!(response.status, 200, "{method}");
        let seen = response.json();
        assert_eq!(seen["body"], body.len(), "{method}: {seen}");
        assert_eq!(values(&seen, "connection"), Vec::<&str>::new());
    }
}
