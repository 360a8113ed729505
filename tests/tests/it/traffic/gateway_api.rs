//! Routes of the Gateway API that are attached to services: what `HTTPRoute`, `GRPCRoute` and `ReferenceGrant` do to calls
//! over real sockets.

mod backends;
mod filters;
mod grpc;
mod parents;
mod status;

use std::sync::atomic::{AtomicU32, Ordering};

use meltemi_tests::{HttpService, Mesh, Recorded, Response, Sidecar};

use super::{count, has_share};

/// Services `hello`, `one` and `two` with an instance each, and a caller of them.
struct Shop {
    mesh: Mesh,
    services: [HttpService; 3],
    client: Sidecar,
    /// Numbers the configurations, so that each can be awaited.
    applied: AtomicU32,
}

/// The parent of a route that is for calls of `hello`.
const HELLO: &str = "{group: '', kind: Service, name: hello}";

impl Shop {
    async fn start() -> Self {
        let mesh = Mesh::start().await;
        let services = [
            mesh.http_service("hello", 1).await,
            mesh.http_service("one", 1).await,
            mesh.http_service("two", 1).await,
        ];
        let client = mesh.client().await;
        Shop { mesh, services, client, applied: AtomicU32::new(0) }
    }

    fn next(&self) -> u32 {
        self.applied.fetch_add(1, Ordering::Relaxed)
    }

    /// Has requests to `hello` go by these rules (a list of `rules` in YAML's flow style), from the return on.
    async fn route(&self, rules: &str) {
        let number = self.next();
        self.mesh.apply(&http_route("hello", "default", HELLO, &marked(number, rules))).await;
        arrived(&self.client, "http://hello", number).await;
    }

    /// Gets a path of `hello`.
    async fn get(&self, path: &str) -> Response {
        self.call("GET", path, &[], b"").await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let target = format!("http://hello{path}");
        self.client.http().await.call(method, &target, headers, body).await
    }

    /// Who answers a request to a path of `hello`; the status where nobody does.
    async fn who(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let response = self.call(method, path, headers, b"").await;
        match response.status {
            200 => response.served_by().to_owned(),
            status => status.to_string(),
        }
    }

    /// Gets `/` again and again: which instance answered each.
    async fn turns(&self, times: usize) -> Vec<String> {
        self.turns_with(times, &[]).await
    }

    async fn turns_with(&self, times: usize, headers: &[(&str, &str)]) -> Vec<String> {
        let mut calls = self.client.http().await;
        let mut turns = Vec::with_capacity(times);
        for _ in 0..times {
            let response = calls.call("GET", "http://hello/", headers, b"").await;
            turns.push(match response.status {
                200 => response.served_by().to_owned(),
                status => status.to_string(),
            });
        }
        turns
    }

    /// What the instance of a service saw on `/record/N`.
    fn recorded(&self, service: usize) -> Vec<Recorded> {
        self.services[service].app(0).recorded()
    }
}

/// An HTTPRoute with one parent; `rules` is a list without its brackets.
fn http_route(name: &str, namespace: &str, parent: &str, rules: &str) -> String {
    route("HTTPRoute", name, namespace, parent, rules)
}

fn route(kind: &str, name: &str, namespace: &str, parent: &str, rules: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}},
          spec: {{parentRefs: [{parent}], rules: [{rules}]}}}}"
    )
}

/// Rules with one that shows which configuration it is.
fn marked(number: u32, rules: &str) -> String {
    format!(
        "{{matches: [{{path: {{type: Exact, value: /which-configuration}}}}], filters: [
           {{type: RequestRedirect, requestRedirect: {{hostname: number-{number}.example.com}}}}]}}, {rules}"
    )
}

/// Waits until a caller goes by a configuration.
async fn arrived(client: &Sidecar, base: &str, number: u32) {
    let target = format!("{base}/which-configuration");
    let wanted = format!("http://number-{number}.example.com/which-configuration");
    let is_right = |it: &Response| it.header("location") == Some(wanted.as_str());
    client.until("the routes have arrived", &target, is_right).await;
}

/// Fields: HTTPRoute spec.rules[].backendRefs[].name, spec.rules[].backendRefs[].port,
/// spec.rules[].backendRefs[].weight
#[tokio::test(flavor = "multi_thread")]
async fn weights_share_requests_out_over_services() {
    let shop = Shop::start().await;
    shop.route("{backendRefs: [{name: one, port: 80, weight: 3}, {name: two, port: 80}]}").await;
    has_share("two", 0.25, 400, async || count(&shop.turns(400).await, "two-1")).await;
    shop.route(
        "{backendRefs: [{name: one, port: 80, weight: 0}, {name: two, port: 80, weight: 1}]}",
    )
    .await;
    assert_eq!(shop.turns(50).await, ["two-1"; 50]);
    shop.route("{backendRefs: [{name: one, port: 80, weight: 0}]}").await;
    assert_eq!(shop.turns(5).await, ["500"; 5], "nobody has a share");
}

/// Fields: HTTPRoute spec.rules[].matches[].path.type, spec.rules[].matches[].path.value,
/// spec.rules[].matches[].method, spec.rules[].matches[].headers[].name,
/// spec.rules[].matches[].headers[].type, spec.rules[].matches[].headers[].value,
/// spec.rules[].matches[].queryParams[].name, spec.rules[].matches[].queryParams[].type,
/// spec.rules[].matches[].queryParams[].value
#[tokio::test(flavor = "multi_thread")]
async fn requests_go_by_path_method_headers_and_query() {
    let shop = Shop::start().await;
    shop.route(
        "{matches: [{path: {type: PathPrefix, value: /shop}}], backendRefs: [{name: one, port: 80}]},
         {matches: [{path: {type: Exact, value: /shop}}], backendRefs: [{name: two, port: 80}]},
         {matches: [{path: {type: RegularExpression, value: '/items/[0-9]+'}}], backendRefs: [{name: two, port: 80}]},
         {matches: [{headers: [{name: X-Kind, value: b}]},
                    {headers: [{name: x-many, type: RegularExpression, value: 'a+'}]},
                    {queryParams: [{name: q, value: '1'}]},
                    {queryParams: [{name: r, type: RegularExpression, value: '[0-9]'}]},
                    {method: PUT}], backendRefs: [{name: two, port: 80}]}",
    )
    .await;
    for (method, path, headers, who) in [
        ("GET", "/shop/cart", &[][..], "one-1"),
        ("GET", "/shop/", &[], "one-1"),
        ("GET", "/shop", &[], "two-1"),
        ("GET", "/shopping", &[], "404"),
        ("GET", "/items/12", &[], "two-1"),
        ("GET", "/items/12/x", &[], "404"),
        ("GET", "/", &[("x-kind", "b")], "two-1"),
        ("GET", "/", &[("x-kind", "bb")], "404"),
        ("GET", "/", &[("x-many", "aaa")], "two-1"),
        ("GET", "/?q=1", &[], "two-1"),
        ("GET", "/?q=11", &[], "404"),
        ("GET", "/?r=7", &[], "two-1"),
        ("PUT", "/", &[], "two-1"),
        ("GET", "/", &[], "404"),
    ] {
        assert_eq!(shop.who(method, path, headers).await, who, "{method} {path} {headers:?}");
    }
    assert_eq!(shop.services[0].requests(), [0], "the service itself is behind its routes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_more_special_match_goes_first_whatever_route_it_stands_in() {
    let shop = Shop::start().await;
    let to = |rule: &str, who: &str| format!("{{{rule} backendRefs: [{{name: {who}, port: 80}}]}}");
    let wide = to("matches: [{path: {value: /a}}],", "one");
    shop.mesh.apply(&http_route("a-first", "default", HELLO, &wide)).await;
    let special = [
        to("matches: [{path: {value: /a/b}}],", "two"),
        to("matches: [{path: {value: /a}, method: POST}],", "two"),
        to("matches: [{path: {value: /a}, headers: [{name: x, value: y}]}],", "two"),
    ];
    shop.route(&special.join(", ")).await;
    for (method, path, headers, who) in [
        ("GET", "/a", &[][..], "one-1"),
        ("GET", "/a/b", &[], "two-1"),
        ("POST", "/a", &[], "two-1"),
        ("GET", "/a", &[("x", "y")], "two-1"),
        ("GET", "/b", &[], "404"),
    ] {
        assert_eq!(shop.who(method, path, headers).await, who, "{method} {path} {headers:?}");
    }
}

/// Fields: HTTPRoute spec.rules[].timeouts.request, spec.rules[].timeouts.backendRequest,
/// spec.rules[].retry.attempts, spec.rules[].retry.codes[], spec.rules[].retry.backoff
#[tokio::test(flavor = "multi_thread")]
async fn time_and_attempts_are_as_the_rule_says() {
    let shop = Shop::start().await;
    shop.route(
        "{matches: [{path: {value: /record/hold}}], timeouts: {request: 300ms},
          backendRefs: [{name: one, port: 80}]},
         {matches: [{path: {value: /record/418}}], retry: {codes: [418], attempts: 3, backoff: 1ms},
          backendRefs: [{name: two, port: 80}]},
         {matches: [{path: {value: /hold}}], timeouts: {backendRequest: 100ms},
          retry: {attempts: 1, backoff: 1ms}, backendRefs: [{name: hello, port: 80}]}",
    )
    .await;
    assert_eq!(shop.get("/record/hold").await.status, 504);
    assert_eq!(shop.recorded(1).len(), 1);
    assert_eq!(shop.get("/record/418").await.status, 418);
    assert_eq!(shop.recorded(2).len(), 4, "three attempts after the first");
    assert_eq!(shop.get("/hold").await.status, 504);
    assert_eq!(shop.services[0].requests(), [2], "each attempt had its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_example_does_what_the_page_says() {
    let page = include_str!("../../../../docs/traffic.md");
    let mut blocks = page.split("```yaml\n").filter_map(|part| part.split("```").next());
    let example = blocks.find(|it| it.contains("kind: HTTPRoute")).expect("an example");
    let shop = Shop::start().await;
    let _next = shop.mesh.http_service("hello-next", 1).await;
    shop.mesh.apply(example).await;
    let is_moved =
        |it: &Response| (it.status, it.header("location")) == (301, Some("http://hello/new/page"));
    shop.client.until("the page's route", "http://hello/old/page", is_moved).await;
    let canary = [("x-canary", "yes")];
    assert_eq!(shop.turns_with(20, &canary).await, ["hello-next-1"; 20]);
    has_share("the next", 0.1, 400, async || count(&shop.turns(400).await, "hello-next-1")).await;
}
