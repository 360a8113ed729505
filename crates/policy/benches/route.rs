//! What a decision costs: `cargo bench -p meltemi-policy --bench route`.
//!
//! One host with one route is what a mesh without rules would pay; 1,000 hosts of 20 routes each are to cost less
//! than 1 microsecond more. A decision is all of it: the host, the route, the destination.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_policy::route::rule::{
    Action, Destination, HttpMatch, HttpRoute, HttpRouteDestination, MESH, PathMatch, StringMatch,
    VirtualService,
};
use meltemi_policy::route::{Caller, Hosts, Request, Table};

const HOSTS: usize = 1000;
const CALLS: usize = 4096;
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

struct Call {
    host: String,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
}

impl Request for Call {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn authority(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn scheme(&self) -> &[u8] {
        b"http"
    }

    fn port(&self) -> u16 {
        80
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let found = self.headers.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| Cow::Borrowed(value.as_bytes()))
    }
}

fn route(name: &str, matches: Vec<HttpMatch>) -> HttpRoute {
    let to = |weight| HttpRouteDestination {
        destination: Destination { host: name.into(), ..Destination::default() },
        weight,
        ..HttpRouteDestination::default()
    };
    HttpRoute { name: name.into(), matches, ..HttpRoute::of(Action::Route(vec![to(90), to(10)])) }
}

/// 20 routes: by exact path, by prefix, by prefix and header, by expression if `has_regexes`, and the rest.
fn routes(has_regexes: bool) -> Vec<HttpRoute> {
    let uri = |path| HttpMatch { uri: Some(path), ..HttpMatch::default() };
    let mut routes = Vec::new();
    for number in 0..19 {
        let one = match number % 4 {
            0 => uri(PathMatch::Exact(format!("/exact/{number}"))),
            1 => uri(PathMatch::Prefix(format!("/api/v{number}/"))),
            2 if has_regexes => uri(PathMatch::Regex(format!("/items/{number}/[0-9]+(/.*)?"))),
            2 => uri(PathMatch::PathPrefix(format!("/items/{number}"))),
            _ => HttpMatch {
                headers: BTreeMap::from([(
                    "end-user".into(),
                    StringMatch::Exact(format!("user-{number}")),
                )]),
                ..uri(PathMatch::PathPrefix("/users".into()))
            },
        };
        routes.push(route(&format!("route-{number}"), vec![one]));
    }
    routes.push(route("rest", Vec::new()));
    routes
}

fn hosts(count: usize, routes: &[HttpRoute]) -> Hosts<Table> {
    let labels = BTreeMap::new();
    let caller = Caller { namespace: "default", labels: &labels, gateway: MESH };
    let mut hosts = Hosts::default();
    for number in 0..count {
        let host = host(number);
        let service = VirtualService {
            name: host.clone(),
            namespace: "default".into(),
            hosts: vec![host.clone()],
            http: routes.to_vec(),
            ..VirtualService::default()
        };
        let table = Table::compile(&host, &[Arc::new(service)], &caller);
        hosts.insert(&host, table.expect("the rules are right").expect("they are for us"));
    }
    hosts
}

/// Some hosts are the ends of names.
fn host(number: usize) -> String {
    match number % 10 {
        9 => format!("*.zone-{number}.example.com"),
        _ => format!("service-{number}.default.svc.cluster.local"),
    }
}

fn calls(hosts: usize) -> Vec<Call> {
    let call = |number: usize| {
        // Spread, so that no two calls after each other meet the same host.
        let spread = number.wrapping_mul(2_654_435_761) >> 7;
        let path = match number % 5 {
            0 => format!("/exact/{}", spread % 20),
            1 => format!("/api/v{}/books/17?full=true", spread % 20),
            2 => format!("/items/{}/4711/pages", spread % 20),
            3 => "/users/me".to_owned(),
            _ => "/something/else".to_owned(),
        };
        let headers = vec![("accept", "*/*"), ("user-agent", "bench"), ("end-user", "user-15")];
        Call { host: host(spread % hosts).replace('*', "a"), path, headers }
    };
    (0..CALLS).map(call).collect()
}

/// Nanoseconds a decision, of the best round.
fn measure(hosts: &Hosts<Table>, calls: &[Call]) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (start, mut made) = (Instant::now(), 0u64);
        while start.elapsed() < ROUND {
            for call in calls {
                let table = hosts.find(&call.host).and_then(|table| table.http.as_ref());
                let decision = table.and_then(|table| table.find(call));
                let target = decision.and_then(|it| it.destination(made));
                black_box(target.map(|target| target.index));
                made += 1;
            }
        }
        best = best.min(start.elapsed().as_nanos() as f64 / made as f64);
    }
    best
}

fn main() {
    let start = Instant::now();
    let plain = hosts(HOSTS, &routes(false));
    let compiled = start.elapsed();
    let base = measure(&hosts(1, &[route("rest", Vec::new())]), &calls(1));
    let many = measure(&plain, &calls(HOSTS));
    drop(plain);
    let with_regexes = measure(&hosts(HOSTS, &routes(true)), &calls(HOSTS));
    println!("1 host, 1 route:                           {base:7.0} ns a decision");
    println!("1,000 hosts of 20 routes:                  {many:7.0} ns, {:.0} more", many - base);
    println!(
        "1,000 hosts of 20 routes, 5 by expression: {with_regexes:7.0} ns, {:.0} more",
        with_regexes - base
    );
    println!("compiling 1,000 hosts of 20 routes:        {:7.1} ms", compiled.as_secs_f64() * 1e3);
}
