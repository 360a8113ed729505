//! Which rules are candidates for a caller and a request, without a look at each.
//!
//! Each rule lies in one place: first by who calls (or which port is called), then by that which it demands of a request and
//! shares with the fewest other rules: the beginning of the path, or the exact value of a header, of a claim, of the host and so on.

mod demand;
mod values;

use std::collections::HashMap;

use self::demand::{Demand, Shares, demands};
use self::values::Values;
use super::attribute::Attribute;
use super::input::{Connection, Request};
use super::matcher::Pattern;
use super::policies::CompiledRule;
use super::rule::{Condition, Rule, Source};
use super::test::View;
use crate::route::{Gathered, Prefixes};

/// No bucket.
pub(super) const NONE: u32 = u32::MAX;

/// The buckets that a connection's rules lie in.
pub(super) type Buckets = [u32; 5];

/// No buckets.
pub(super) const NOWHERE: Buckets = [NONE; 5];

/// The rules of one action, by who may call and then by what is asked. A rule lies in the bucket of each caller that it names,
/// or of each port, or in that of everybody.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The first is that of everybody.
    buckets: Vec<Bucket>,
    by_caller: HashMap<Caller, u32>,
}

/// A caller as rules name one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Principal(Box<str>),
    Account(Box<str>),
    Namespace(Box<str>),
    /// Whoever calls this port.
    OfPort(u16),
}

#[derive(Debug, Default)]
struct Bucket {
    /// Rules that ask nothing of a request.
    plain: Vec<u32>,
    /// The others.
    of_requests: Vec<u32>,
    /// Those of the others that are found by path.
    paths: Prefixes,
    /// Those that are found by a value.
    values: Values,
}

impl Index {
    /// The buckets of a caller.
    pub(super) fn buckets(&self, connection: &Connection<'_>) -> Buckets {
        let everybody = if self.buckets.is_empty() { NONE } else { 0 };
        if self.by_caller.is_empty() {
            return [everybody, NONE, NONE, NONE, NONE];
        }
        let find = |caller: Caller| self.by_caller.get(&caller).copied().unwrap_or(NONE);
        let of_port = find(Caller::OfPort(connection.destination_port));
        let Some(peer) = connection.peer else { return [everybody, of_port, NONE, NONE, NONE] };
        [
            everybody,
            of_port,
            find(Caller::Principal(peer.principal.clone())),
            find(Caller::Account(peer.account.clone())),
            find(Caller::Namespace(peer.namespace.clone())),
        ]
    }

    /// The first rule that asks nothing of a request and is accepted.
    pub(super) fn find_plain(
        &self,
        buckets: &Buckets,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        for bucket in self.of(buckets) {
            look(&bucket.plain, &mut best, &mut accept);
        }
        (best != NONE).then_some(best)
    }

    /// Whether there is a rule that asks something of a request.
    pub(super) fn asks_requests(&self, buckets: &Buckets) -> bool {
        self.of(buckets).any(|bucket| !bucket.of_requests.is_empty())
    }

    /// The first rule that asks something of a request, may match it and is accepted. `generous`: whether what says the same
    /// in another way counts too, such as the path without its parameters. Without a request, the first that is accepted.
    pub(super) fn find_of_request<R: Request>(
        &self,
        buckets: &Buckets,
        view: &View<'_, R>,
        generous: bool,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        let bare = view.bare_path.as_deref().filter(|_| generous);
        for bucket in self.of(buckets) {
            let Some(request) = view.request else {
                look(&bucket.of_requests, &mut best, &mut accept);
                continue;
            };
            bucket.values.each(view, request, generous, |list| look(list, &mut best, &mut accept));
            for path in [Some(view.path), bare].into_iter().flatten() {
                bucket.paths.each(path, |lists| {
                    lists.each(|list| look(list, &mut best, &mut accept));
                });
            }
        }
        (best != NONE).then_some(best)
    }

    fn of(&self, buckets: &Buckets) -> impl Iterator<Item = &Bucket> {
        buckets.iter().filter_map(|index| self.buckets.get(*index as usize))
    }
}

/// Looks for a better one among candidates, which are in ascending order.
fn look(list: &[u32], best: &mut u32, accept: &mut impl FnMut(u32) -> bool) {
    let better = list.iter().take_while(|rule| **rule < *best);
    if let Some(found) = better.copied().find(|rule| accept(*rule)) {
        *best = found;
    }
}

/// An index that is being made.
#[derive(Debug, Default)]
pub(super) struct Building {
    buckets: Vec<Filling>,
    by_caller: HashMap<Caller, u32>,
}

/// A bucket that is being filled.
#[derive(Debug, Default)]
struct Filling {
    plain: Vec<u32>,
    /// The rules that ask something of a request, each with what it demands.
    of_requests: Vec<(u32, Vec<Demand>)>,
}

impl Building {
    /// Takes a rule in; numbers ascend.
    pub(super) fn push(&mut self, number: u32, rule: &Rule, namespace: &str, built: &CompiledRule) {
        if self.buckets.is_empty() {
            self.buckets.push(Default::default());
        }
        let mut places = match callers(rule, namespace).or_else(|| ports(rule)) {
            None => vec![0],
            Some(callers) => callers.into_iter().map(|caller| self.place(caller)).collect(),
        };
        // A rule that names a caller twice is a candidate once.
        places.sort_unstable();
        places.dedup();
        for place in places {
            let bucket = &mut self.buckets[place as usize];
            match built.needs_request {
                true => bucket.of_requests.push((number, demands(rule))),
                false => bucket.plain.push(number),
            }
        }
    }

    fn place(&mut self, caller: Caller) -> u32 {
        let next = self.buckets.len() as u32;
        let place = *self.by_caller.entry(caller).or_insert(next);
        if place == next {
            self.buckets.push(Default::default());
        }
        place
    }

    pub(super) fn build(self) -> Index {
        let buckets = self.buckets.into_iter().map(Filling::build).collect();
        Index { buckets, by_caller: self.by_caller }
    }
}

impl Filling {
    fn build(self) -> Bucket {
        let best: Vec<usize> = {
            let shares = Shares::of(self.of_requests.iter().flat_map(|(_, demands)| demands));
            self.of_requests.iter().map(|(_, demands)| shares.best(demands)).collect()
        };
        let (mut paths, mut values) = (Gathered::default(), Values::default());
        let mut of_requests = Vec::with_capacity(best.len());
        for ((number, mut demands), best) in self.of_requests.into_iter().zip(best) {
            of_requests.push(number);
            match demands.swap_remove(best) {
                Demand::Values(attribute, all) => values.push(number, attribute, all),
                Demand::Paths(starts) => {
                    for (text, is_whole) in starts {
                        let lists = paths.at(text);
                        push(if is_whole { &mut lists.exact } else { &mut lists.letters }, number);
                    }
                }
            }
        }
        Bucket { plain: self.plain, of_requests, paths: paths.build(), values }
    }
}

/// A rule that demands a path or a value twice is a candidate once.
fn push(list: &mut Vec<u32>, number: u32) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}

/// The callers that a rule names; `None` where it may be for anybody.
fn callers(rule: &Rule, namespace: &str) -> Option<Vec<Caller>> {
    let by_source = || {
        let mut callers = Vec::new();
        for source in &rule.from {
            callers.extend(of_source(source, namespace)?);
        }
        (!rule.from.is_empty()).then_some(callers)
    };
    by_source().or_else(|| rule.when.iter().find_map(|it| of_condition(it, namespace)))
}

fn of_source(source: &Source, namespace: &str) -> Option<Vec<Caller>> {
    exact(&source.principals, Caller::Principal)
        .or_else(|| accounts(&source.service_accounts, namespace))
        .or_else(|| exact(&source.namespaces, Caller::Namespace))
}

fn of_condition(condition: &Condition, namespace: &str) -> Option<Vec<Caller>> {
    match condition.key.as_str() {
        "source.principal" => exact(&condition.values, Caller::Principal),
        "source.serviceAccount" => accounts(&condition.values, namespace),
        "source.namespace" => exact(&condition.values, Caller::Namespace),
        _ => None,
    }
}

fn accounts(list: &[String], namespace: &str) -> Option<Vec<Caller>> {
    let full = list.iter().map(|text| match text.contains('/') {
        true => text.clone(),
        false => format!("{namespace}/{text}"),
    });
    exact(&full.collect::<Vec<_>>(), Caller::Account)
}

/// Callers by texts that are all exact.
fn exact(list: &[String], of: fn(Box<str>) -> Caller) -> Option<Vec<Caller>> {
    let is_exact = |text: &String| matches!(Pattern::parse(text), Pattern::Exact(_));
    let fits = !list.is_empty() && list.iter().all(is_exact);
    fits.then(|| list.iter().map(|text| of(text.as_str().into())).collect())
}

/// The ports that a rule is for; `None` where it may be for any.
fn ports(rule: &Rule) -> Option<Vec<Caller>> {
    let read = |list: &[String]| {
        // What is no port is refused when the rule is compiled.
        let ports: Vec<Caller> =
            list.iter().filter_map(|text| text.parse().ok()).map(Caller::OfPort).collect();
        (!list.is_empty() && ports.len() == list.len()).then_some(ports)
    };
    let by_operation = || {
        let mut ports = Vec::new();
        for operation in &rule.to {
            ports.extend(read(&operation.ports)?);
        }
        (!rule.to.is_empty()).then_some(ports)
    };
    let of_port = |it: &&Condition| Attribute::of_key(&it.key) == Attribute::Port;
    by_operation().or_else(|| rule.when.iter().filter(of_port).find_map(|it| read(&it.values)))
}
