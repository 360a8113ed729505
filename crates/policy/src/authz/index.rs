//! Which rules are candidates for a connection and a request, without a look at each.
//!
//! Each rule lies in one place: first by what it demands of a connection (who calls, from where, which port), then by what it
//! demands of a request (path, host, a header, a claim and so on); each time by that which it shares with the fewest others.
//! It is demanded exactly, or by how a text begins or ends, or as a block of addresses. Those that demand nothing, or what many
//! others do, are sieved together.

mod demand;
mod rows;
mod shares;
mod sieve;
mod table;
mod texts;

use std::collections::HashMap;

use self::demand::{Part, Thing, of_connection, of_request};
use self::shares::Shares;
use self::sieve::Sieve;
use self::table::{Filling, Table};
use self::texts::Facts;
use super::attribute::Attribute;
use super::input::{NoRequest, Request};
use super::policies::CompiledRule;
use super::rule::Rule;
use super::test::View;

/// No rule.
const NONE: u32 = u32::MAX;

/// So many rules are looked at one by one, more are sieved.
const FEW: usize = 16;

/// The buckets that a connection's rules lie in.
pub(super) type Buckets = Box<[u32]>;

/// The rules of one action, by the connections and then by the requests that they are for. A rule lies in the bucket of each
/// thing that it wants one of; in that of everybody if it wants nothing of a connection.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The first is that of everybody.
    buckets: Box<[Bucket]>,
    by_connection: Table,
}

#[derive(Debug)]
struct Bucket {
    /// Rules that ask nothing of a request.
    plain: Listed,
    /// Whether there are others.
    asks_requests: bool,
    /// The others, for connections of bytes, where a match refuses: no other rule matches without a request.
    of_bytes: Listed,
    /// Those of the others that demand nothing by which they could be found.
    unfound: Listed,
    /// Those that are found by what they demand.
    by_request: Table,
}

/// Rules of which each may match.
#[derive(Debug)]
enum Listed {
    Few(Box<[u32]>),
    Many(Box<Sieve>),
}

impl Index {
    /// The buckets of a connection.
    pub(super) fn buckets(&self, view: &View<'_, NoRequest>) -> Buckets {
        if self.buckets.is_empty() {
            return Buckets::default();
        }
        let mut buckets = vec![0];
        let facts = Facts { view, generous: false };
        self.by_connection.each(&facts, &mut |found| buckets.extend_from_slice(found));
        // Two things of a connection may lead to one bucket: no rule is looked at twice for that.
        buckets.sort_unstable();
        buckets.dedup();
        buckets.into()
    }

    /// The first rule that asks nothing of a request and is accepted.
    pub(super) fn find_plain(
        &self,
        buckets: &[u32],
        view: &View<'_, NoRequest>,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        for bucket in self.of(buckets) {
            bucket.plain.look(view, &mut best, &mut accept);
        }
        (best != NONE).then_some(best)
    }

    /// Whether there is a rule that asks something of a request.
    pub(super) fn asks_requests(&self, buckets: &[u32]) -> bool {
        self.of(buckets).any(|bucket| bucket.asks_requests)
    }

    /// The first rule that asks something of a request, may match it and is accepted. `generous`: whether what says the same
    /// in another way counts too, such as the path without its parameters: it does where a match refuses.
    pub(super) fn find_of_request<R: Request>(
        &self,
        buckets: &[u32],
        view: &View<'_, R>,
        generous: bool,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        for bucket in self.of(buckets) {
            if view.request.is_none() {
                bucket.of_bytes.look(view, &mut best, &mut accept);
                continue;
            }
            let facts = Facts { view, generous };
            bucket.by_request.each(&facts, &mut |list| look(list, &mut best, &mut accept));
            bucket.unfound.look(view, &mut best, &mut accept);
        }
        (best != NONE).then_some(best)
    }

    fn of(&self, buckets: &[u32]) -> impl Iterator<Item = &Bucket> {
        buckets.iter().filter_map(|index| self.buckets.get(*index as usize))
    }
}

impl Listed {
    fn look<R: Request>(
        &self,
        view: &View<'_, R>,
        best: &mut u32,
        accept: &mut impl FnMut(u32) -> bool,
    ) {
        match self {
            Listed::Few(list) => look(list, best, accept),
            Listed::Many(sieve) => sieve.look(view, best, accept),
        }
    }

    /// `counts` says which attributes can be known.
    fn of(rules: &[&Gathered<'_>], refuses: bool, counts: fn(&Attribute) -> bool) -> Listed {
        match rules.len() <= FEW {
            true => Listed::Few(rules.iter().map(|it| it.number).collect()),
            false => {
                let rules = rules.iter().map(|it| (it.number, it.rule, it.namespace));
                Listed::Many(Box::new(Sieve::of(rules, refuses, counts)))
            }
        }
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
pub(super) struct Building<'p> {
    rules: Vec<Gathered<'p>>,
}

/// A rule with what it demands.
#[derive(Debug)]
struct Gathered<'p> {
    number: u32,
    rule: &'p Rule,
    namespace: &'p str,
    of_connection: Vec<Part>,
    /// `None` where it asks nothing of a request.
    of_request: Option<Vec<Part>>,
}

impl<'p> Building<'p> {
    /// Takes a rule in; numbers ascend.
    pub(super) fn push(
        &mut self,
        number: u32,
        rule: &'p Rule,
        namespace: &'p str,
        built: &CompiledRule,
    ) {
        self.rules.push(Gathered {
            number,
            rule,
            namespace,
            of_connection: of_connection(rule, namespace),
            of_request: built.needs_request.then(|| of_request(rule, namespace)),
        });
    }

    /// `refuses`: whether a match refuses rather than lets pass.
    pub(super) fn build(self, refuses: bool) -> Index {
        if self.rules.is_empty() {
            return Index::default();
        }
        let shares = Shares::of(self.rules.iter().map(|rule| &rule.of_connection));
        let mut places: HashMap<&Thing, u32> = HashMap::new();
        let mut by_connection = Filling::default();
        let mut buckets: Vec<Vec<&Gathered<'_>>> = vec![Vec::new()];
        for rule in &self.rules {
            let Some(things) = shares.best(&rule.of_connection) else {
                buckets[0].push(rule);
                continue;
            };
            for thing in things {
                let next = buckets.len() as u32;
                let place = *places.entry(thing).or_insert(next);
                if place == next {
                    buckets.push(Vec::new());
                    by_connection.push(place, thing);
                }
                buckets[place as usize].push(rule);
            }
        }
        let buckets = buckets.into_iter().map(|rules| Bucket::of(rules, refuses)).collect();
        Index { buckets, by_connection: by_connection.build() }
    }
}

impl Bucket {
    fn of(rules: Vec<&Gathered<'_>>, refuses: bool) -> Bucket {
        let (of_requests, plain): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|rule| rule.of_request.is_some());
        let of_bytes: &[_] = if refuses { &of_requests } else { &[] };
        let demands = || of_requests.iter().filter_map(|rule| rule.of_request.as_ref());
        let shares = Shares::of(demands());
        let (mut found, mut unfound) = (Vec::new(), Vec::new());
        for (rule, demanded) in of_requests.iter().zip(demands()) {
            match shares.best(demanded) {
                Some(things) => found.push((*rule, things)),
                None => unfound.push(*rule),
            }
        }
        let is_rare =
            |things: &[&Thing]| things.iter().all(|thing| shares.of_thing(thing) as usize <= FEW);
        let common = found.iter().filter(|(_, things)| !is_rare(things)).map(|(rule, _)| *rule);
        let sieved: Vec<_> = unfound.iter().copied().chain(common).collect();
        if sieved.len() > FEW {
            found.retain(|(_, things)| is_rare(things));
            unfound = sieved;
            unfound.sort_unstable_by_key(|rule| rule.number);
        }
        let mut by_request = Filling::default();
        for (rule, things) in found {
            things.into_iter().for_each(|thing| by_request.push(rule.number, thing));
        }
        let is_of_connection = |attribute: &Attribute| !attribute.is_of_request();
        Bucket {
            plain: Listed::of(&plain, refuses, is_of_connection),
            asks_requests: !of_requests.is_empty(),
            of_bytes: Listed::of(of_bytes, refuses, is_of_connection),
            unfound: Listed::of(&unfound, refuses, |_| true),
            by_request: by_request.build(),
        }
    }
}

#[cfg(test)]
mod tests;
