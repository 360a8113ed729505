//! By which of its demands a rule is found with the fewest others.

use std::collections::HashMap;

use super::demand::{Branch, List, Part, Thing, Value};

/// How many rules demand each thing.
#[derive(Debug)]
pub(super) struct Shares<'d>(HashMap<&'d Thing, u32>);

impl<'d> Shares<'d> {
    /// Counts all demands of all rules.
    pub(super) fn of(rules: impl IntoIterator<Item = &'d Vec<Part>>) -> Self {
        Self::of_things(rules.into_iter().flatten().flatten().flatten().flatten().flatten())
    }

    /// Counts these.
    pub(super) fn of_things(things: impl IntoIterator<Item = &'d Thing>) -> Self {
        let mut shares = HashMap::new();
        for thing in things {
            *shares.entry(thing).or_insert(0) += 1;
        }
        Shares(shares)
    }

    /// The things of which a rule demands one and which it shares with the fewest; the first of demands that are as good.
    /// `None` where it demands nothing.
    pub(super) fn best(&self, parts: &'d [Part]) -> Option<Vec<&'d Thing>> {
        let part = parts.iter().min_by_key(|part| self.of_part(part))?;
        let mut things = Vec::new();
        for branch in part {
            let list = branch.iter().min_by_key(|list| self.of_list(list))?;
            for value in list {
                things.push(self.rarest(value)?);
            }
        }
        // A rule that names a thing twice is a candidate once.
        things.sort_unstable();
        things.dedup();
        Some(things)
    }

    /// The one of a value's things that the fewest have.
    pub(super) fn rarest(&self, value: &'d Value) -> Option<&'d Thing> {
        value.iter().min_by_key(|thing| self.of_thing(thing))
    }

    fn of_part(&self, part: &Part) -> u32 {
        part.iter().map(|branch| self.of_branch(branch)).max().unwrap_or(u32::MAX)
    }

    fn of_branch(&self, branch: &Branch) -> u32 {
        branch.iter().map(|list| self.of_list(list)).min().unwrap_or(u32::MAX)
    }

    fn of_list(&self, list: &List) -> u32 {
        list.iter().map(|value| self.of_value(value)).max().unwrap_or(u32::MAX)
    }

    fn of_value(&self, value: &Value) -> u32 {
        value.iter().map(|thing| self.of_thing(thing)).min().unwrap_or(u32::MAX)
    }

    /// How many have a thing.
    pub(super) fn of_thing(&self, thing: &Thing) -> u32 {
        self.0.get(thing).copied().unwrap_or(0)
    }
}
