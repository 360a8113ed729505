//! Several routes of a host as one rule: the order of their matches, producers and consumers, ports, kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meltemi_names::Host;
use meltemi_policy::route::rule::{Action, Api, HttpMatch, HttpRoute, VirtualService};

use super::{Attachment, Merged, RouteRecord};
use crate::read::seconds;
use crate::record::{Object, ObjectKind};

/// A route of a host.
pub(super) struct Route<'a> {
    pub(super) object: &'a Object,
    pub(super) record: &'a RouteRecord,
    pub(super) attachments: &'a BTreeSet<Attachment>,
    /// The hosts to which it may not lead.
    pub(super) ungranted: BTreeSet<&'a str>,
}

/// Routes of one kind that are merged.
type Segment<'r, 'a> = Vec<(&'r Route<'a>, Ports)>;

/// The ports for which a route is; `None` for all.
type Ports = Option<BTreeSet<u16>>;

/// Of several kinds for one port the more special counts (GEP-1294).
const KINDS: [ObjectKind; 2] = [ObjectKind::GrpcRoute, ObjectKind::HttpRoute];

/// The rules of a host: one for callers of each namespace that has consumers' routes, then one for all others.
pub(super) fn merge(host: &Host, mut routes: Vec<Route<'_>>) -> Vec<Merged> {
    // Of two matches that are otherwise equal the older route's goes first, then by namespace and name.
    routes.sort_by_key(|it| (&it.record.created, &it.object.namespace, &it.object.name));
    let producers = KINDS.map(|kind| segment(&routes, kind, |_, it| it.is_producer));
    let is_consumer = |route: &&Route<'_>| route.attachments.iter().any(|it| !it.is_producer);
    let namespaces: BTreeSet<&Arc<str>> =
        routes.iter().filter(is_consumer).map(|it| &it.object.namespace).collect();
    let mut merged = Vec::new();
    for namespace in namespaces {
        let own = KINDS.map(|kind| {
            segment(&routes, kind, |route, it| {
                !it.is_producer && route.object.namespace == *namespace
            })
        });
        merged.extend(rule(host, &own, &producers, &["."]));
    }
    merged.extend(rule(host, &producers, &[], &[]));
    merged
}

fn segment<'r, 'a>(
    routes: &'r [Route<'a>],
    kind: ObjectKind,
    is_meant: impl Fn(&Route<'_>, &Attachment) -> bool,
) -> Segment<'r, 'a> {
    let of_kind = routes.iter().filter(|route| route.object.kind == kind);
    let ports = of_kind.map(|route| {
        let meant = route.attachments.iter().filter(|it| is_meant(route, it));
        (route, ports(meant.collect()))
    });
    ports.filter_map(|(route, ports)| Some((route, ports?))).collect()
}

/// The ports of attachments; none where there are no attachments.
fn ports(attachments: Vec<&Attachment>) -> Option<Ports> {
    (!attachments.is_empty()).then(|| attachments.iter().map(|it| it.port).collect())
}

/// The rule of these segments; for ports that no route of them is for the others count, and then the host itself.
fn rule(
    host: &Host,
    own: &[Segment<'_, '_>],
    others: &[Segment<'_, '_>],
    export_to: &[&str],
) -> Option<Merged> {
    let all = own.iter().flatten();
    let (first, _) = all.min_by_key(|(it, _)| (&it.record.created, &it.object.name))?;
    let mut http = Vec::new();
    let is_closed = own.iter().chain(others).any(|segment| put(segment, &mut http));
    if !is_closed {
        http.push(HttpRoute::of(Action::Itself));
    }
    Some(Merged {
        first: first.object.clone(),
        created: first.record.created.clone(),
        rule: Arc::new(VirtualService {
            name: first.object.name.to_string(),
            namespace: first.object.namespace.to_string(),
            api: Api::Gateway,
            created: seconds(&first.record.created).unwrap_or_default(),
            hosts: vec![host.to_string()],
            export_to: export_to.iter().map(|it| (*it).to_owned()).collect(),
            http,
            ..VirtualService::default()
        }),
    })
}

/// Puts the rules of a segment, in their order; whether they are for all ports, so that nothing can follow.
fn put(segment: &Segment<'_, '_>, http: &mut Vec<HttpRoute>) -> bool {
    let mut ranked = Vec::new();
    let mut closed = BTreeSet::new();
    for (route, ports) in segment {
        for it in &route.record.rules {
            let rule = with_grants(&it.rule, &route.ungranted);
            match ports {
                None => ranked.push((it.rank, rule)),
                Some(ports) => {
                    ranked.extend(ports.iter().map(|port| (it.rank, on_port(&rule, *port))));
                }
            }
        }
        closed.extend(ports.iter().flatten().copied());
    }
    ranked.sort_by(|(one, _), (other, _)| other.cmp(one));
    http.extend(ranked.into_iter().map(|(_, rule)| rule));
    if segment.iter().any(|(_, ports)| ports.is_none()) {
        return true;
    }
    if !closed.is_empty() {
        let matches = closed.into_iter().map(|port| of_port(&HttpMatch::default(), port));
        http.push(HttpRoute { matches: matches.collect(), ..HttpRoute::of(Action::Nowhere) });
    }
    false
}

fn of_port(given: &HttpMatch, port: u16) -> HttpMatch {
    HttpMatch { port: Some(port), ..given.clone() }
}

/// The rule for one port alone.
fn on_port(rule: &HttpRoute, port: u16) -> HttpRoute {
    let matches = match rule.matches.as_slice() {
        [] => vec![of_port(&HttpMatch::default(), port)],
        matches => matches.iter().map(|it| of_port(it, port)).collect(),
    };
    HttpRoute { matches, ..rule.clone() }
}

/// The rule without ways that nobody has allowed.
fn with_grants(rule: &HttpRoute, ungranted: &BTreeSet<&str>) -> HttpRoute {
    let mut rule = rule.clone();
    if let Action::Route(destinations) = &mut rule.action {
        for to in destinations.iter_mut() {
            let host = to.destination.host.as_str();
            if to.unusable.is_none() && ungranted.contains(host) {
                to.unusable = Some(format!("no ReferenceGrant allows the route to lead to {host}"));
            }
        }
    }
    rule.mirrors.retain(|mirror| !ungranted.contains(mirror.destination.host.as_str()));
    rule
}

/// The route of a more special kind that takes a port which this one is for too.
pub(super) fn displacing<'a>(
    object: &Object,
    of_host: &'a BTreeMap<Object, BTreeSet<Attachment>>,
) -> Option<&'a Object> {
    let own = of_host.get(object)?;
    let place = |kind: ObjectKind| KINDS.iter().position(|it| *it == kind);
    let mut special = of_host.iter().filter(|(it, _)| place(it.kind) < place(object.kind));
    let meets = |other: &Attachment| {
        own.iter().any(|own| {
            own.is_producer == other.is_producer
                && (own.port.is_none() || other.port.is_none() || own.port == other.port)
        })
    };
    let found = special.find(|(other, attachments)| {
        other.namespace == object.namespace && attachments.iter().any(meets)
    });
    found.map(|(other, _)| other)
}
