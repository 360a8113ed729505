//! Istio's traffic rules: what VirtualService, DestinationRule and ServiceEntry do to calls over real sockets.

mod answers;
mod asking;
mod balancing;
mod change;
mod copies;
mod egress;
mod entries;
mod faults;
mod gateway_api;
mod hashing;
mod headers;
mod inbound_pool;
mod ingress;
mod ingress_tls;
mod learned;
mod listeners;
mod log;
mod matches;
mod origination;
mod outliers;
mod places;
mod pool;
mod retries;
mod rewrites;
mod scope;
mod shop;
mod sidecars;
mod split;
mod stat_prefix;
mod statistics;
mod streams;
mod timeouts;
mod trouble;
mod warmup;

use std::sync::atomic::{AtomicU32, Ordering};

use meltemi_tests::{HttpApp, HttpService, Mesh, Response, Sidecar, eventually};

/// A service `hello` with an instance and a subset of each version, and a caller of it.
struct World {
    mesh: Mesh,
    hello: HttpService,
    client: Sidecar,
    /// Numbers the configurations, so that each can be awaited.
    applied: AtomicU32,
}

impl World {
    async fn start(versions: &[&str]) -> Self {
        let mesh = Mesh::start().await;
        let hello = mesh.http_versions("hello", versions).await;
        let client = mesh.client().await;
        World { mesh, hello, client, applied: AtomicU32::new(0) }
    }

    /// The application of an instance.
    fn app(&self, at: usize) -> &HttpApp {
        self.hello.app(at)
    }

    /// Has requests to `hello` go by these rules (a list of `http` in YAML's flow style), from the return on.
    async fn route(&self, rules: &str) {
        let number = self.applied.fetch_add(1, Ordering::Relaxed);
        self.mesh
            .apply(&virtual_service("hello", "hosts: [hello]", &answering(number, rules)))
            .await;
        arrived(&self.client, "http://hello", number).await;
    }

    /// Makes the DestinationRule for `hello`: a subset of each of these versions, and further fields of the
    /// specification in YAML's flow style. It has come with the next `route`.
    async fn destination(&self, versions: &[&str], further: &str) {
        let subset =
            |version: &&str| format!("{{name: {version}, labels: {{version: {version}}}}}");
        let subsets: Vec<_> = versions.iter().map(subset).collect();
        let yaml = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: hello}},
              spec: {{host: hello, subsets: [{}] {further}}}}}",
            subsets.join(", ")
        );
        self.mesh.apply(&yaml).await;
    }

    /// Balances calls of `hello` as a `trafficPolicy` says, from the return on.
    async fn policy(&self, policy: &str) {
        self.destination(&[], &format!(", trafficPolicy: {policy}")).await;
        self.route("{route: [{destination: {host: hello}}]}").await;
    }

    /// Gets a path of `hello`.
    async fn get(&self, path: &str) -> Response {
        self.call("GET", path, &[], b"").await
    }

    /// Calls a path of `hello`.
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

    /// Gets a path again and again: which instance answered each.
    async fn turns(&self, path: &str, count: usize) -> Vec<String> {
        let mut calls = self.client.http().await;
        let target = format!("http://hello{path}");
        let mut turns = Vec::with_capacity(count);
        for _ in 0..count {
            let response = calls.get(&target).await;
            assert_eq!(response.status, 200, "{}", response.text());
            turns.push(response.served_by().to_owned());
        }
        turns
    }

    /// Waits until the caller has counted requests with exactly this status and these of Envoy's response flags.
    async fn counted(&self, code: &str, flags: &str, count: u64) {
        let filter = [("reporter", "source"), ("response_code", code), ("response_flags", flags)];
        eventually(&format!("{count} requests of {code} {flags}"), async || {
            let scrape = self.client.scrape().await;
            if scrape.sum("istio_requests_total", &filter) as u64 == count {
                return Ok(());
            }
            let all =
                scrape.sum_by("istio_requests_total", &[], &["response_code", "response_flags"]);
            Err(format!("{all:?}"))
        })
        .await;
    }
}

/// A VirtualService; `spec` has its fields but `http`, which is a list without its brackets.
fn virtual_service(name: &str, spec: &str, http: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {name}}},
          spec: {{{spec}, http: [{http}]}}}}"
    )
}

/// Rules before which stands one that shows which configuration it is.
fn answering(number: u32, rules: &str) -> String {
    format!(
        "{{match: [{{uri: {{exact: /which-configuration}}}}],
           directResponse: {{status: 200, body: {{string: \"number {number}\"}}}}}}, {rules}"
    )
}

/// Waits until a caller goes by a configuration.
async fn arrived(client: &Sidecar, base: &str, number: u32) {
    let (target, text) = (format!("{base}/which-configuration"), format!("number {number}"));
    client.until("the rules have arrived", &target, |it| it.text() == text).await;
}

/// Checks that a share of a sample is as it should be within three standard deviations. One sample in 370 is not though
/// nothing is wrong: then a second one decides.
async fn has_share(what: &str, share: f64, of: usize, mut sample: impl AsyncFnMut() -> usize) {
    let deviation = (of as f64 * share * (1.0 - share)).sqrt();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let count = sample().await;
        if (count as f64 - of as f64 * share).abs() <= 3.0 * deviation {
            return;
        }
        seen.push(count);
    }
    panic!("{what}: {seen:?} of {of}, not {share}");
}

/// How many there are of one.
fn count(turns: &[String], one: &str) -> usize {
    turns.iter().filter(|it| *it == one).count()
}
