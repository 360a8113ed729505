use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::rule::*;
use super::*;

mod actions;
mod connections;
mod flaws;
mod gateway_api;
mod hosts;
mod matching;
mod naive;
mod redirects;
mod rules;
mod tables;

/// A request of a test.
#[derive(Debug, Clone)]
struct Call {
    method: String,
    path: String,
    authority: String,
    scheme: String,
    port: u16,
    headers: Vec<(String, String)>,
}

impl Call {
    fn get(path: &str) -> Call {
        Call {
            method: "GET".into(),
            path: path.into(),
            authority: "reviews:9080".into(),
            scheme: "http".into(),
            port: 9080,
            headers: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Call {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn method(mut self, method: &str) -> Call {
        self.method = method.into();
        self
    }

    fn from(mut self, scheme: &str, authority: &str, port: u16) -> Call {
        (self.scheme, self.authority, self.port) = (scheme.into(), authority.into(), port);
        self
    }
}

impl Request for Call {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn authority(&self) -> &[u8] {
        self.authority.as_bytes()
    }

    fn scheme(&self) -> &[u8] {
        self.scheme.as_bytes()
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let of_name = self.headers.iter().filter(|(own, _)| own == name);
        let values: Vec<&str> = of_name.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| Cow::Owned(values.join(",").into_bytes()))
    }
}

/// A sidecar without labels in namespace `default`.
const SIDECAR: Caller<'_> =
    Caller { namespace: "default", labels: &BTreeMap::new(), gateway: MESH };

fn destination(host: &str, weight: u32) -> HttpRouteDestination {
    let destination = Destination { host: host.into(), ..Destination::default() };
    HttpRouteDestination { destination, weight, ..HttpRouteDestination::default() }
}

/// A route to a destination of the same name.
fn route(name: &str, matches: Vec<HttpMatch>) -> HttpRoute {
    HttpRoute { matches, ..acting(name, Action::Route(vec![destination(name, 0)])) }
}

/// A route for every request.
fn acting(name: &str, action: Action) -> HttpRoute {
    HttpRoute { name: name.into(), ..HttpRoute::of(action) }
}

fn uri(path: PathMatch) -> HttpMatch {
    HttpMatch { uri: Some(path), ..HttpMatch::default() }
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.into())
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.into())
}

fn segments(path: &str) -> PathMatch {
    PathMatch::PathPrefix(path.into())
}

fn regex(path: &str) -> PathMatch {
    PathMatch::Regex(path.into())
}

fn service(http: Vec<HttpRoute>) -> VirtualService {
    VirtualService {
        name: "reviews".into(),
        namespace: "default".into(),
        hosts: vec!["reviews".into()],
        http,
        ..VirtualService::default()
    }
}

fn try_compile(service: VirtualService) -> Result<Option<Table>, CompileError> {
    Table::compile("reviews", &[Arc::new(service)], &SIDECAR)
}

fn compile(http: Vec<HttpRoute>) -> HttpTable {
    try_compile(service(http)).unwrap().unwrap().http.unwrap()
}

/// The table of one route.
fn only(route: HttpRoute) -> HttpTable {
    compile(vec![route])
}

/// The name of the route that a request takes, `-` for none.
fn taken(table: &HttpTable, call: &Call) -> String {
    table.find(call).map_or("-".into(), |found| found.name().to_owned())
}
