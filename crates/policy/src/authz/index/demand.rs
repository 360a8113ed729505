//! What a rule demands of requests so that it can be found by it.

use std::collections::HashMap;

use super::super::attribute::Attribute;
use super::super::matcher::Pattern;
use super::super::rule::{Condition, Operation, Rule, Source};
use super::super::template::Template;

/// Something of which a request must have one, or the rule does not match.
#[derive(Debug)]
pub(super) enum Demand {
    /// How its path begins, and whether that is all of it.
    Paths(Vec<(Vec<u8>, bool)>),
    /// A value of this attribute.
    Values(Attribute, Vec<Vec<u8>>),
}

/// One of the things of a demand.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Thing<'d> {
    Path(&'d [u8], bool),
    Value(&'d Attribute, &'d [u8]),
}

/// Counts how many rules demand each thing.
#[derive(Debug, Default)]
pub(super) struct Shares<'d>(HashMap<Thing<'d>, u32>);

impl<'d> Shares<'d> {
    /// Counts all demands of all rules.
    pub(super) fn of(demands: impl IntoIterator<Item = &'d Demand>) -> Self {
        let mut shares = HashMap::new();
        for demand in demands {
            demand.each(|thing| *shares.entry(thing).or_insert(0) += 1);
        }
        Shares(shares)
    }

    /// The demand of a rule by which the fewest rules are found with it. The first of those that are as good: by path.
    pub(super) fn best(&self, demands: &'d [Demand]) -> usize {
        let cost = |demand: &'d Demand| {
            let mut most = 0;
            demand.each(|thing| {
                let shared = match thing {
                    // It tells nothing apart.
                    Thing::Path([], false) => u32::MAX,
                    thing => self.0.get(&thing).copied().unwrap_or(0),
                };
                most = most.max(shared);
            });
            most
        };
        (0..demands.len()).min_by_key(|index| cost(&demands[*index])).unwrap_or(0)
    }
}

impl Demand {
    fn each<'d>(&'d self, mut show: impl FnMut(Thing<'d>)) {
        match self {
            Demand::Paths(paths) => {
                paths.iter().for_each(|(text, is_whole)| show(Thing::Path(text, *is_whole)));
            }
            Demand::Values(attribute, values) => {
                values.iter().for_each(|value| show(Thing::Value(attribute, value)));
            }
        }
    }
}

/// All that a rule demands; the first is of the path.
pub(super) fn demands(rule: &Rule) -> Vec<Demand> {
    let mut demands = vec![Demand::Paths(starts(rule))];
    let mut add = |attribute: Attribute, values: Option<Vec<Vec<u8>>>| {
        demands.extend(values.map(|values| Demand::Values(attribute, values)));
    };
    let of_sources =
        |list: fn(&Source) -> &[String]| of_each(rule.from.iter().map(list), principal);
    let of_operations =
        |list: fn(&Operation) -> &[String], value| of_each(rule.to.iter().map(list), value);
    add(Attribute::RequestPrincipal, of_sources(|it| &it.request_principals));
    add(Attribute::Host, of_operations(|it| &it.hosts, folded));
    add(Attribute::Method, of_operations(|it| &it.methods, plain));
    for condition in &rule.when {
        let attribute = Attribute::of_key(&condition.key);
        let values = of_condition(&attribute, condition);
        add(attribute, values);
    }
    demands
}

/// The values of which a condition demands one, where they are all exact and a request may show them.
fn of_condition(attribute: &Attribute, condition: &Condition) -> Option<Vec<Vec<u8>>> {
    let value = match attribute {
        Attribute::RequestPrincipal => principal,
        Attribute::Audience | Attribute::Presenter | Attribute::Claim(_) | Attribute::Header(_) => {
            plain
        }
        _ => return None,
    };
    of_each(std::iter::once(condition.values.as_slice()), value)
}

/// The values of which each list demands one: `None` where a list demands nothing, or not an exact one.
fn of_each<'r>(
    lists: impl Iterator<Item = &'r [String]>,
    value: fn(&str) -> Vec<u8>,
) -> Option<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    for list in lists {
        let is_exact = |text: &String| matches!(Pattern::parse(text), Pattern::Exact(_));
        if list.is_empty() || !list.iter().all(is_exact) {
            return None;
        }
        values.extend(list.iter().map(|text| value(text)));
    }
    values.sort_unstable();
    values.dedup();
    (!values.is_empty()).then_some(values)
}

fn plain(text: &str) -> Vec<u8> {
    text.into()
}

fn folded(text: &str) -> Vec<u8> {
    text.to_ascii_lowercase().into()
}

/// A principal without `/` is an issuer with an empty subject.
fn principal(text: &str) -> Vec<u8> {
    match text.contains('/') {
        true => text.into(),
        false => format!("{text}/").into(),
    }
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
