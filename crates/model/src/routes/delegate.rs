//! Delegates: a virtual service without hosts stands in the place of another one's route, merged with it by Istio's rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meltemi_policy::route::rule::{HttpMatch, HttpRoute, PathMatch, StringMatch, VirtualService};

use super::VirtualServiceRecord;
use crate::record::Object;

type Records = HashMap<Object, Arc<VirtualServiceRecord>>;

/// The rule of a virtual service with the routes of its delegates in place; and why some of it has no effect, if so.
pub(super) fn merge(
    root: &Object,
    record: &VirtualServiceRecord,
    records: &Records,
) -> (VirtualService, Option<String>) {
    let mut rule = record.rule.clone();
    if record.delegates.is_empty() {
        return (rule, None);
    }
    let mut flaws = Vec::new();
    let mut routes = Vec::new();
    for (at, route) in std::mem::take(&mut rule.http).into_iter().enumerate() {
        let Some(delegate) = record.delegates.get(&at) else {
            routes.push(route);
            continue;
        };
        match find(root, delegate, records) {
            Err(reason) => flaws.push(format!("spec.http[{at}].delegate: {reason}")),
            Ok(found) => {
                for (sub, it) in found.rule.http.iter().enumerate() {
                    match merge_route(&route, it) {
                        Some(merged) => routes.push(merged),
                        None => flaws.push(format!(
                            "spec.http[{at}].delegate: no request can match both this route and http[{sub}] of {delegate}, which has no effect here"
                        )),
                    }
                }
            }
        }
    }
    rule.http = routes;
    (rule, (!flaws.is_empty()).then(|| flaws.join("; ")))
}

/// The virtual service to which another one delegates, if that is possible.
fn find<'a>(
    root: &Object,
    delegate: &Object,
    records: &'a Records,
) -> Result<&'a VirtualServiceRecord, String> {
    let Some(found) = records.get(delegate) else {
        return Err(format!("there is no {delegate}; the route has no effect until there is"));
    };
    if delegate == root || leads_to(delegate, root, records) {
        return Err(format!("{delegate} leads back here, in a circle; the route has no effect"));
    }
    if !found.hosts.is_empty() {
        return Err(format!(
            "{delegate} has hosts of its own, so that nothing can be delegated to it; the route has no effect"
        ));
    }
    if !found.rule.is_visible_to(&root.namespace) {
        return Err(format!(
            "{delegate} is not exported to namespace {}; the route has no effect",
            root.namespace
        ));
    }
    Ok(found)
}

/// Whether one virtual service delegates to another one, on whatever way.
fn leads_to(from: &Object, to: &Object, records: &Records) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(object) = open.pop() {
        let Some(record) = records.get(object).filter(|_| seen.insert(object)) else { continue };
        if record.delegates.values().any(|it| it == to) {
            return true;
        }
        open.extend(record.delegates.values());
    }
    false
}

/// A delegate's route within a root's: both must match, and what the delegate does not say the root does. `None` where no
/// request can match both.
fn merge_route(root: &HttpRoute, leaf: &HttpRoute) -> Option<HttpRoute> {
    let matches = merge_matches(&root.matches, &leaf.matches)?;
    let or = |said: bool| if said { leaf } else { root };
    Some(HttpRoute {
        name: joined(&root.name, &leaf.name),
        matches,
        action: leaf.action.clone(),
        rewrite: or(leaf.rewrite.is_some()).rewrite.clone(),
        timeout_ms: leaf.timeout_ms.or(root.timeout_ms),
        retries: or(leaf.retries.is_some()).retries.clone(),
        fault: or(leaf.fault != Default::default()).fault.clone(),
        mirrors: or(!leaf.mirrors.is_empty()).mirrors.clone(),
        cors_policy: or(leaf.cors_policy.is_some()).cors_policy.clone(),
        headers: or(leaf.headers != Default::default()).headers.clone(),
        missing_status: leaf.missing_status,
    })
}

fn joined(root: &str, leaf: &str) -> String {
    match (root, leaf) {
        (root, "") => root.to_owned(),
        ("", leaf) => leaf.to_owned(),
        (root, leaf) => format!("{root}-{leaf}"),
    }
}

/// Every match of the delegate must lie within one of the root; it is combined with each in which it does.
fn merge_matches(root: &[HttpMatch], leaf: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    if root.is_empty() {
        return Some(leaf.to_vec());
    }
    if leaf.is_empty() {
        return Some(root.to_vec());
    }
    let mut merged = Vec::new();
    for leaf in leaf {
        let before = merged.len();
        let fitting = root.iter().filter(|root| !is_conflict(root, leaf));
        merged.extend(fitting.map(|root| merge_match(root, leaf)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merge_match(root: &HttpMatch, leaf: &HttpMatch) -> HttpMatch {
    let string = |leaf: &Option<StringMatch>, root: &Option<StringMatch>| {
        leaf.clone().or_else(|| root.clone())
    };
    HttpMatch {
        name: joined(&root.name, &leaf.name),
        uri: leaf.uri.clone().or_else(|| root.uri.clone()),
        ignore_uri_case: leaf.ignore_uri_case,
        scheme: string(&leaf.scheme, &root.scheme),
        method: string(&leaf.method, &root.method),
        authority: string(&leaf.authority, &root.authority),
        headers: united(&root.headers, &leaf.headers),
        without_headers: united(&root.without_headers, &leaf.without_headers),
        query_params: united(&root.query_params, &leaf.query_params),
        port: leaf.port.or(root.port),
        source_labels: united(&root.source_labels, &leaf.source_labels),
        source_namespace: leaf.source_namespace.clone().or_else(|| root.source_namespace.clone()),
        gateways: if leaf.gateways.is_empty() { &root.gateways } else { &leaf.gateways }.clone(),
        stat_prefix: if leaf.stat_prefix.is_empty() {
            &root.stat_prefix
        } else {
            &leaf.stat_prefix
        }
        .clone(),
    }
}

/// Both; of two under one name the delegate's.
fn united<T: Clone>(root: &BTreeMap<String, T>, leaf: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let mut united = root.clone();
    united.extend(leaf.iter().map(|(name, it)| (name.clone(), it.clone())));
    united
}

/// Whether the delegate's match does not lie within the root's.
fn is_conflict(root: &HttpMatch, leaf: &HttpMatch) -> bool {
    let uris = [&root.uri, &leaf.uri].map(|it| it.as_ref().map(path_form));
    let strings = [
        (&root.scheme, &leaf.scheme),
        (&root.method, &leaf.method),
        (&root.authority, &leaf.authority),
    ];
    let maps = [
        (&root.headers, &leaf.headers),
        (&root.without_headers, &leaf.without_headers),
        (&root.query_params, &leaf.query_params),
    ];
    let differ = |root: Option<&StringMatch>, leaf: Option<&StringMatch>| {
        is_outside(root.map(form), leaf.map(form))
    };
    is_outside(uris[0], uris[1])
        || strings.iter().any(|(root, leaf)| differ(root.as_ref(), leaf.as_ref()))
        || maps
            .iter()
            .any(|(root, leaf)| leaf.iter().any(|(name, leaf)| differ(root.get(name), Some(leaf))))
        || root.ignore_uri_case != leaf.ignore_uri_case
        || root.port.zip(leaf.port).is_some_and(|(root, leaf)| root != leaf)
        || root
            .source_namespace
            .as_ref()
            .zip(leaf.source_namespace.as_ref())
            .is_some_and(|(root, leaf)| root != leaf)
        || leaf
            .source_labels
            .iter()
            .any(|(name, value)| root.source_labels.get(name).is_some_and(|it| it != value))
        || (!root.gateways.is_empty() && leaf.gateways.iter().any(|it| !root.gateways.contains(it)))
}

/// A pattern, of paths or of other texts.
#[derive(Clone, Copy)]
enum Form<'a> {
    Present,
    Exact(&'a str),
    Prefix(&'a str),
    Regex,
}

fn form(pattern: &StringMatch) -> Form<'_> {
    match pattern {
        StringMatch::Present => Form::Present,
        StringMatch::Exact(text) => Form::Exact(text),
        StringMatch::Prefix(text) => Form::Prefix(text),
        StringMatch::Regex(_) => Form::Regex,
    }
}

fn path_form(pattern: &PathMatch) -> Form<'_> {
    match pattern {
        PathMatch::Exact(text) => Form::Exact(text),
        PathMatch::Prefix(text) | PathMatch::PathPrefix(text) => Form::Prefix(text),
        PathMatch::Regex(_) => Form::Regex,
    }
}

/// Whether the delegate's pattern takes texts that the root's does not, as far as that can be told: of regular expressions
/// it cannot, so that one must stand alone.
fn is_outside(root: Option<Form<'_>>, leaf: Option<Form<'_>>) -> bool {
    let (Some(root), Some(leaf)) = (root, leaf) else { return false };
    match (root, leaf) {
        (Form::Present, _) => false,
        (Form::Exact(root), Form::Exact(leaf)) => root != leaf,
        (Form::Prefix(root), Form::Exact(leaf) | Form::Prefix(leaf)) => !leaf.starts_with(root),
        _ => true,
    }
}
