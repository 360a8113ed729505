//! Which rules are candidates for a connection and a request, without a look at each.
//!
//! Each rule lies in one place: first by what it demands of a connection (who calls, from where, which port), then by what it
//! demands of a request (path, host, a header, a claim and so on); each time by that which it shares with the fewest others.
//! It is demanded exactly, or by how a text begins or ends, or as a block of addresses.

mod demand;
mod shares;
mod table;
mod texts;

use std::collections::HashMap;

use self::demand::{Part, Thing, of_connection, of_request};
use self::shares::Shares;
use self::table::{Filling, Table};
use super::input::{Connection, Request};
use super::policies::CompiledRule;
use super::rule::Rule;
use super::test::View;

/// No rule.
const NONE: u32 = u32::MAX;

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

#[derive(Debug, Default)]
struct Bucket {
    /// Rules that ask nothing of a request.
    plain: Box<[u32]>,
    /// The others.
    of_requests: Box<[u32]>,
    /// Those of the others that demand nothing by which they could be found.
    unfound: Box<[u32]>,
    /// Those that are found by what they demand.
    by_request: Table,
}

impl Index {
    /// The buckets of a connection.
    pub(super) fn buckets(&self, connection: &Connection<'_>) -> Buckets {
        if self.buckets.is_empty() {
            return Buckets::default();
        }
        let mut buckets = vec![0];
        self.by_connection.each(
            |attribute, show| texts::of_connection(attribute, connection, show),
            &mut |found| buckets.extend_from_slice(found),
        );
        // Two things of a connection may lead to one bucket: no rule is looked at twice for that.
        buckets.sort_unstable();
        buckets.dedup();
        buckets.into()
    }

    /// The first rule that asks nothing of a request and is accepted.
    pub(super) fn find_plain(
        &self,
        buckets: &[u32],
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        for bucket in self.of(buckets) {
            look(&bucket.plain, &mut best, &mut accept);
        }
        (best != NONE).then_some(best)
    }

    /// Whether there is a rule that asks something of a request.
    pub(super) fn asks_requests(&self, buckets: &[u32]) -> bool {
        self.of(buckets).any(|bucket| !bucket.of_requests.is_empty())
    }

    /// The first rule that asks something of a request, may match it and is accepted. `generous`: whether what says the same
    /// in another way counts too, such as the path without its parameters. Without a request, the first that is accepted.
    pub(super) fn find_of_request<R: Request>(
        &self,
        buckets: &[u32],
        view: &View<'_, R>,
        generous: bool,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = NONE;
        for bucket in self.of(buckets) {
            let Some(request) = view.request else {
                look(&bucket.of_requests, &mut best, &mut accept);
                continue;
            };
            bucket.by_request.each(
                |attribute, show| texts::of_request(attribute, view, request, generous, show),
                &mut |list| look(list, &mut best, &mut accept),
            );
            look(&bucket.unfound, &mut best, &mut accept);
        }
        (best != NONE).then_some(best)
    }

    fn of(&self, buckets: &[u32]) -> impl Iterator<Item = &Bucket> {
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
    rules: Vec<Gathered>,
}

/// A rule with what it demands.
#[derive(Debug)]
struct Gathered {
    number: u32,
    of_connection: Vec<Part>,
    /// `None` where it asks nothing of a request.
    of_request: Option<Vec<Part>>,
}

impl Building {
    /// Takes a rule in; numbers ascend.
    pub(super) fn push(&mut self, number: u32, rule: &Rule, namespace: &str, built: &CompiledRule) {
        self.rules.push(Gathered {
            number,
            of_connection: of_connection(rule, namespace),
            of_request: built.needs_request.then(|| of_request(rule, namespace)),
        });
    }

    pub(super) fn build(self) -> Index {
        if self.rules.is_empty() {
            return Index::default();
        }
        let shares = Shares::of(self.rules.iter().map(|rule| &rule.of_connection));
        let mut places: HashMap<&Thing, u32> = HashMap::new();
        let mut by_connection = Filling::default();
        let mut buckets: Vec<Vec<&Gathered>> = vec![Vec::new()];
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
        let buckets = buckets.into_iter().map(Bucket::of).collect();
        Index { buckets, by_connection: by_connection.build() }
    }
}

impl Bucket {
    fn of(rules: Vec<&Gathered>) -> Bucket {
        let (mut plain, mut of_requests, mut unfound) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_request = Filling::default();
        let shares = Shares::of(rules.iter().filter_map(|rule| rule.of_request.as_ref()));
        for rule in rules {
            let Some(demanded) = &rule.of_request else {
                plain.push(rule.number);
                continue;
            };
            of_requests.push(rule.number);
            match shares.best(demanded) {
                Some(things) => {
                    things.into_iter().for_each(|thing| by_request.push(rule.number, thing));
                }
                None => unfound.push(rule.number),
            }
        }
        Bucket {
            plain: plain.into(),
            of_requests: of_requests.into(),
            unfound: unfound.into(),
            by_request: by_request.build(),
        }
    }
}

#[cfg(test)]
mod tests;
