//! The rules for requests of one host in their compiled form.

use std::collections::HashMap;
use std::sync::Arc;

use super::condition::{self, Condition};
use super::cors::CorsRules;
use super::decision::Decision;
use super::error::{Flaw, Problem, check_target, is_answer_status};
use super::headers::{self, HeaderEdit};
use super::paths::{PathKind, Paths, PathsBuilder};
use super::pattern::{ANY, Patterns};
use super::redirect::Redirector;
use super::request::{Request, split_path};
use super::rewrite::PathRewriter;
use super::rule::{
    Action, Destination, HttpMatch, HttpRoute, HttpRouteDestination, PathMatch, VirtualService,
};
use super::split;
use super::table::Scope;
use crate::retry::RetryPolicy;

/// The rules for requests of one host.
#[derive(Debug)]
pub struct HttpTable {
    paths: Paths,
    /// One for each match of each route, in order.
    entries: Box<[Entry]>,
    routes: Box<[Route]>,
    ports: Ports,
}

/// The ports that any match is for.
#[derive(Debug)]
enum Ports {
    All,
    Only(Vec<u16>),
}

impl Default for Ports {
    fn default() -> Ports {
        Ports::Only(Vec::new())
    }
}

impl Ports {
    fn add(&mut self, port: Option<u16>) {
        match (port, &mut *self) {
            (Some(port), Ports::Only(ports)) => ports.push(port),
            (None, _) => *self = Ports::All,
            (Some(_), Ports::All) => {}
        }
    }
}

/// One match of a route.
#[derive(Debug)]
pub(super) struct Entry {
    route: u32,
    pub(super) matched: Option<u32>,
    pub(super) path: PathKind,
    conditions: Box<[Condition]>,
    /// `ROUTE.MATCH` where both have a name.
    pub(super) name: Option<Box<str>>,
    /// The number of its name for statistics among the table's.
    pub(super) stat_prefix: Option<u32>,
}

/// One route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) service: Arc<VirtualService>,
    index: usize,
    pub(super) act: Act,
    /// What is changed in answers that are made here.
    pub(super) response: Box<[HeaderEdit]>,
    pub(super) retry: RetryPolicy,
    pub(super) cors: Option<CorsRules>,
}

/// What becomes of requests.
#[derive(Debug)]
pub(super) enum Act {
    Forward { targets: Box<[TargetRules]>, rewrite: Option<PathRewriter> },
    Redirect(Redirector),
    Answer,
    Itself,
    Nowhere,
}

/// What is done to requests for one destination.
#[derive(Debug)]
pub(super) struct TargetRules {
    /// Where its share ends.
    pub(super) end: u64,
    /// As in the rule; here it is near what else is looked at.
    pub(super) destination: Destination,
    pub(super) request: Box<[HeaderEdit]>,
    pub(super) response: Box<[HeaderEdit]>,
    pub(super) authority: Option<Box<str>>,
    /// As in the rule.
    pub(super) unusable: Option<Box<str>>,
}

impl HttpTable {
    /// Which rule is for this request: the first that matches, if one does.
    pub fn find(&self, request: &dyn Request) -> Option<Decision<'_>> {
        let (path, _) = split_path(request.path());
        let found = self.paths.find_first(path, |entry| {
            self.entries[entry as usize].conditions.iter().all(|it| it.holds(request))
        })?;
        let entry = &self.entries[found as usize];
        Some(Decision { route: &self.routes[entry.route as usize], entry })
    }

    /// Whether any of its matches can be for requests to this port. Where none is, the port has no rules: what no match is for is
    /// refused, but a port without rules goes to the service itself, as in Istio.
    pub fn serves(&self, port: u16) -> bool {
        match &self.ports {
            Ports::All => true,
            Ports::Only(ports) => ports.contains(&port),
        }
    }

    /// How many matches it has that can count for this proxy.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no request can match.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Compiles rules for requests, of several virtual services one after the other.
    pub(super) fn compile(
        services: &[&Arc<VirtualService>],
        scope: Scope<'_>,
    ) -> Result<HttpTable, (Arc<VirtualService>, Flaw)> {
        let mut compiler = Compiler::default();
        for service in services {
            for index in 0..service.http.len() {
                let rule = &service.http[index];
                compiler
                    .add(service, index, scope)
                    .map_err(|flaw| ((*service).clone(), flaw.under(&place(index, &rule.name))))?;
            }
        }
        let paths = compiler.paths.build().map_err(|error| {
            // Each expression was compiled alone before, so that this is about all of them.
            (services[0].clone(), Flaw::new("http", error))
        })?;
        Ok(HttpTable {
            paths,
            entries: compiler.entries.into(),
            routes: compiler.routes.into(),
            ports: compiler.ports,
        })
    }
}

/// The place of a route, with its name.
fn place(index: usize, name: &str) -> String {
    match name {
        "" => format!("http[{index}]"),
        name => format!("http[{index}] ({name})"),
    }
}

#[derive(Default)]
struct Compiler<'r> {
    patterns: Patterns,
    paths: PathsBuilder<'r>,
    entries: Vec<Entry>,
    routes: Vec<Route>,
    /// The names for statistics by their numbers.
    stat_prefixes: HashMap<&'r str, u32>,
    ports: Ports,
}

impl<'r> Compiler<'r> {
    fn add(
        &mut self,
        service: &'r Arc<VirtualService>,
        index: usize,
        scope: Scope<'_>,
    ) -> Result<(), Flaw> {
        let rule = &service.http[index];
        let route = self.route(service, index)?;
        let number = self.routes.len() as u32;
        self.routes.push(route);
        if rule.matches.is_empty() {
            self.ports.add(None);
            self.paths.any(self.entries.len() as u32);
            self.entries.push(Entry {
                route: number,
                matched: None,
                path: PathKind::Any,
                conditions: Box::default(),
                name: None,
                stat_prefix: None,
            });
        }
        for (index, one) in rule.matches.iter().enumerate() {
            if scope.fits(&one.gateways, &one.source_labels, one.source_namespace.as_deref()) {
                self.ports.add(one.port);
                self.add_match(rule, number, index)
                    .map_err(|flaw| flaw.under(&format!("match[{index}]")))?;
            }
        }
        Ok(())
    }

    fn add_match(&mut self, rule: &'r HttpRoute, route: u32, index: usize) -> Result<(), Flaw> {
        let one = &rule.matches[index];
        let conditions = condition::compile(one, &mut self.patterns)
            .map_err(|(field, error)| Flaw::new(field, error))?;
        let path = self.add_path(one, self.entries.len() as u32)?;
        let name = (!one.name.is_empty()).then(|| format!("{}.{}", rule.name, one.name).into());
        let stat_prefix = self.add_stat_prefix(&one.stat_prefix);
        let matched = Some(index as u32);
        self.entries.push(Entry { route, matched, path, conditions, name, stat_prefix });
        Ok(())
    }

    fn add_stat_prefix(&mut self, prefix: &'r str) -> Option<u32> {
        let next = self.stat_prefixes.len() as u32;
        (!prefix.is_empty()).then(|| *self.stat_prefixes.entry(prefix).or_insert(next))
    }

    fn add_path(&mut self, rule: &'r HttpMatch, entry: u32) -> Result<PathKind, Flaw> {
        let fold = rule.ignore_uri_case;
        match &rule.uri {
            None => self.paths.any(entry),
            Some(PathMatch::Regex(pattern)) if pattern == ANY => self.paths.any(entry),
            Some(PathMatch::Exact(path)) => {
                self.paths.exact(path, fold, entry);
                return Ok(PathKind::Exact);
            }
            Some(PathMatch::Prefix(prefix)) => {
                self.paths.prefix(prefix, fold, entry);
                return Ok(PathKind::Prefix(prefix.len() as u32));
            }
            Some(PathMatch::PathPrefix(prefix)) => {
                let prefix = prefix.trim_end_matches('/');
                self.paths.segments(prefix, fold, entry);
                return Ok(PathKind::Segments(prefix.len() as u32));
            }
            Some(PathMatch::Regex(pattern)) => {
                let whole = self.patterns.check(pattern);
                whole
                    .and_then(|()| self.paths.regex(pattern, entry))
                    .map_err(|error| Flaw::new("uri", error))?;
                return Ok(PathKind::Regex);
            }
        }
        Ok(PathKind::Any)
    }

    fn route(&mut self, service: &Arc<VirtualService>, index: usize) -> Result<Route, Flaw> {
        let rule = &service.http[index];
        check_headers(&rule.headers)?;
        let act = match &rule.action {
            Action::Route(destinations) => forward(rule, destinations)?,
            Action::Redirect(redirect) => {
                Act::Redirect(Redirector::compile(redirect).map_err(|flaw| flaw.under("redirect"))?)
            }
            Action::DirectResponse(answer) if is_answer_status(answer.status) => Act::Answer,
            Action::DirectResponse(answer) => {
                let problem = Problem::Status(answer.status);
                return Err(Flaw::new("directResponse.status", problem));
            }
            Action::Itself => Act::Itself,
            Action::Nowhere => Act::Nowhere,
        };
        let retry = match &rule.retries {
            Some(retries) => RetryPolicy::from_rule(retries)
                .map_err(|error| Flaw::new("retries.retryOn", error))?,
            None => RetryPolicy::default(),
        };
        let cors = match &rule.cors_policy {
            Some(policy) => Some(
                CorsRules::compile(policy, &mut self.patterns)
                    .map_err(|flaw| flaw.under("corsPolicy"))?,
            ),
            None => None,
        };
        let response = headers::edits_of(&rule.headers.response);
        Ok(Route { service: service.clone(), index, act, response, retry, cors })
    }
}

fn check_headers(headers: &super::rule::Headers) -> Result<(), Flaw> {
    for (side, operations) in [("request", &headers.request), ("response", &headers.response)] {
        headers::check(operations).map_err(|flaw| flaw.under(&format!("headers.{side}")))?;
    }
    Ok(())
}

fn forward(rule: &HttpRoute, destinations: &[HttpRouteDestination]) -> Result<Act, Flaw> {
    let ends = split::ends(destinations.iter().map(|it| it.weight))
        .map_err(|problem| Flaw::new("route", problem))?;
    let rewrite = match &rule.rewrite {
        Some(rewrite) => {
            if let Some(authority) = &rewrite.authority {
                check_target("rewrite.authority", authority)?;
            }
            let path = rewrite.uri.as_ref().map(PathRewriter::compile).transpose();
            path.map_err(|flaw| flaw.under("rewrite"))?
        }
        None => None,
    };
    let mut targets = Vec::with_capacity(destinations.len());
    for (index, (destination, end)) in destinations.iter().zip(ends).enumerate() {
        check_headers(&destination.headers)
            .map_err(|flaw| flaw.under(&format!("route[{index}]")))?;
        targets.push(target(rule, destination, end, destinations.len() == 1));
    }
    Ok(Act::Forward { targets: targets.into(), rewrite })
}

fn target(
    rule: &HttpRoute,
    destination: &HttpRouteDestination,
    end: u64,
    is_single: bool,
) -> TargetRules {
    let (all, own) = (&rule.headers, &destination.headers);
    let rewritten = rule.rewrite.as_ref().and_then(|rewrite| rewrite.authority.as_deref());
    let of_all = rewritten.or_else(|| headers::authority(&all.request));
    let of_own = headers::authority(&own.request);
    // As Istio has it: one of several destinations overrides the route, the only one does not.
    let authority = match is_single {
        true => of_all.or(of_own),
        false => of_own.or(of_all),
    };
    TargetRules {
        end,
        destination: destination.destination.clone(),
        request: headers::edits(&all.request, &own.request, is_single),
        response: headers::edits(&all.response, &own.response, is_single),
        authority: authority.map(Box::from),
        unusable: destination.unusable.as_deref().map(Box::from),
    }
}

impl Route {
    pub(super) fn rule(&self) -> &HttpRoute {
        &self.service.http[self.index]
    }
}
