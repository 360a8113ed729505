//! Which rules are candidates for a caller and a path, without a look at each.

use std::collections::HashMap;

use super::input::{Connection, Request};
use super::matcher::Pattern;
use super::policies::CompiledRule;
use super::rule::{Condition, Rule, Source};
use super::template::Template;
use super::test::View;
use crate::route::{Gathered, Prefixes};

/// No bucket.
pub(super) const NONE: u32 = u32::MAX;

/// The buckets that a connection's rules lie in.
pub(super) type Buckets = [u32; 4];

/// The rules of one action, by who may call and then by path. A rule lies in the bucket of each caller that it names, or in
/// that of everybody.
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
}

#[derive(Debug, Default)]
struct Bucket {
    /// Rules that ask nothing of a request.
    plain: Vec<u32>,
    /// The others.
    of_requests: Vec<u32>,
    /// The others by path.
    paths: Prefixes,
}

impl Index {
    /// The buckets of a caller.
    pub(super) fn buckets(&self, connection: &Connection<'_>) -> Buckets {
        let everybody = if self.buckets.is_empty() { NONE } else { 0 };
        let Some(peer) = connection.peer.filter(|_| !self.by_caller.is_empty()) else {
            return [everybody, NONE, NONE, NONE];
        };
        let find = |caller: Caller| self.by_caller.get(&caller).copied().unwrap_or(NONE);
        [
            everybody,
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

    /// The first rule that asks something of a request, may match its path and is accepted. `bare`: whether the path counts
    /// without its parameters too. Without a request, the first that is accepted.
    pub(super) fn find_of_request<R: Request>(
        &self,
        buckets: &Buckets,
        view: &View<'_, R>,
        bare: bool,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        let bare = view.bare_path.as_deref().filter(|_| bare);
        for bucket in self.of(buckets) {
            if view.request.is_none() {
                look(&bucket.of_requests, &mut best, &mut accept);
                continue;
            }
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
    buckets: Vec<(Bucket, Gathered)>,
    by_caller: HashMap<Caller, u32>,
}

impl Building {
    /// Takes a rule in; numbers ascend.
    pub(super) fn push(&mut self, number: u32, rule: &Rule, namespace: &str, built: &CompiledRule) {
        if self.buckets.is_empty() {
            self.buckets.push(Default::default());
        }
        let places = match callers(rule, namespace) {
            None => vec![0],
            Some(callers) => callers.into_iter().map(|caller| self.place(caller)).collect(),
        };
        for place in places {
            let (bucket, paths) = &mut self.buckets[place as usize];
            if !built.needs_request {
                push(&mut bucket.plain, number);
                continue;
            }
            push(&mut bucket.of_requests, number);
            for path in starts(rule) {
                let (text, is_whole) = path;
                let lists = paths.at(text);
                push(if is_whole { &mut lists.exact } else { &mut lists.letters }, number);
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
        let buckets = self.buckets.into_iter();
        let buckets = buckets.map(|(bucket, paths)| Bucket { paths: paths.build(), ..bucket });
        Index { buckets: buckets.collect(), by_caller: self.by_caller }
    }
}

/// A rule that names a caller or a path twice is a candidate once.
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

/// How the paths begin that a rule is for, and whether that is all of the path.
fn starts(rule: &Rule) -> Vec<(Vec<u8>, bool)> {
    let any = || vec![(Vec::new(), false)];
    if rule.to.is_empty() || rule.to.iter().any(|it| it.paths.is_empty()) {
        return any();
    }
    let mut starts: Vec<_> =
        rule.to.iter().flat_map(|it| &it.paths).map(|text| start(text)).collect();
    starts.sort_unstable();
    starts.dedup();
    match starts.iter().any(|(text, is_whole)| text.is_empty() && !is_whole) {
        true => any(),
        false => starts,
    }
}

fn start(path: &str) -> (Vec<u8>, bool) {
    if Template::is_one(path) {
        let template = Template::parse(path);
        return (template.map(|it| it.start().to_vec()).unwrap_or_default(), false);
    }
    match Pattern::parse(path) {
        Pattern::Exact(text) => (text.into(), true),
        Pattern::Prefix(text) => (text.into(), false),
        Pattern::Suffix(_) | Pattern::Present => (Vec::new(), false),
    }
}
