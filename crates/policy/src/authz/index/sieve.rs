//! Which of many rules can match at all, where nothing that they demand is rare enough to find them by.
//!
//! Rules of negations alone are such, and rules that share what they demand with many others. A rule is one row here for each pair of its
//! sources and operations: a row matches if nothing that it forbids is there, and one value of each list that it demands is. What is
//! there is looked up once, value by value, and with each value lies the set of the rows that name it. These sets are joined word by
//! word, as packet filters do that find the first of many rules by bit vectors; the first row that is left is then judged in full.

use std::cell::Cell;
use std::collections::HashMap;

use super::super::attribute::Attribute;
use super::super::compile::{Field, account, test_of};
use super::super::input::Request;
use super::super::rule::{Operation, Rule, Source};
use super::super::test::{Test, View};
use super::demand::{Thing, list, value};
use super::rows::{Rows, bits, unset, words_of};
use super::shares::Shares;
use super::table::{Filling, Table};
use super::texts::Facts;

/// A rule takes no more rows; of one with more pairs of sources and operations, the longer list is not looked at here.
const MOST_ROWS: usize = 16;

/// An attribute that at least one row of so many demands is a column by itself.
const DENSE: usize = 16;

thread_local! {
    /// Where sets are joined: it is as long as the longest that a thread has met.
    static SCRATCH: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

/// Rules by what they forbid and demand.
#[derive(Debug)]
pub(super) struct Sieve {
    /// The rule of each row, ascending.
    rules: Box<[u32]>,
    /// No row of a value that is there can match.
    forbidden: Values,
    /// Of each column, rows that demand something can match only if a value of theirs is there.
    columns: Box<[Column]>,
    /// Whether a match refuses rather than lets pass.
    refuses: bool,
}

/// What rows demand of one attribute, or each of one of several.
#[derive(Debug)]
struct Column {
    /// The rows that demand something.
    demanding: Box<[u64]>,
    values: Values,
}

/// Values with the rows that name them.
#[derive(Debug)]
struct Values {
    by_text: Table,
    /// Those that no text leads to.
    always: Box<[u32]>,
    all: Box<[Valued]>,
}

#[derive(Debug)]
struct Valued {
    test: Test,
    rows: Rows,
}

impl Sieve {
    /// Looks for a better rule among those that can match, as [`look`](super::look) does in a list.
    pub(super) fn look<R: Request>(
        &self,
        view: &View<'_, R>,
        best: &mut u32,
        accept: &mut impl FnMut(u32) -> bool,
    ) {
        let mut scratch = SCRATCH.take();
        let words = words_of(self.rules.len());
        scratch.clear();
        scratch.resize(2 * words, 0);
        let (excluded, there) = scratch.split_at_mut(words);
        self.exclude(view, excluded, there);
        let mut last = None;
        for rule in unset(excluded).map_while(|row| self.rules.get(row)) {
            if *rule >= *best {
                break;
            }
            if last != Some(*rule) && accept(*rule) {
                *best = *rule;
                break;
            }
            last = Some(*rule);
        }
        SCRATCH.set(scratch);
    }

    /// Sets the rows that cannot match. `there` is room for as many.
    fn exclude<R: Request>(&self, view: &View<'_, R>, excluded: &mut [u64], there: &mut [u64]) {
        self.forbidden.add_to(&Facts { view, generous: !self.refuses }, excluded);
        for column in &self.columns {
            there.fill(0);
            column.values.add_to(&Facts { view, generous: self.refuses }, there);
            let words = excluded.iter_mut().zip(&column.demanding).zip(&*there);
            words.for_each(|((word, demanding), there)| *word |= demanding & !there);
        }
    }

    /// A sieve of these rules. `counts` says which attributes can be known.
    pub(super) fn of<'p>(
        rules: impl IntoIterator<Item = (u32, &'p Rule, &'p str)>,
        refuses: bool,
        counts: fn(&Attribute) -> bool,
    ) -> Sieve {
        let mut numbers = Vec::new();
        let mut forbidden = Gathering::new(!refuses);
        let mut demanded: HashMap<Attribute, (Gathering, Vec<u32>)> = HashMap::new();
        for (number, rule, namespace) in rules {
            for fields in rows(rule) {
                // What nobody knows lets nothing pass.
                if !refuses && fields.iter().any(is_unknown) {
                    continue;
                }
                let row = numbers.len() as u32;
                numbers.push(number);
                for field in fields.iter().filter(|field| counts(&field.attribute)) {
                    forbidden.push_all(row, &field.attribute, field.forbidden.1, namespace);
                    if list(field, namespace).is_some() {
                        let new = || (Gathering::new(refuses), Vec::new());
                        let (values, rows) =
                            demanded.entry(field.attribute.clone()).or_insert_with(new);
                        values.push_all(row, &field.attribute, field.demanded.1, namespace);
                        rows.push(row);
                    }
                }
            }
        }
        let words = words_of(numbers.len());
        let columns = columns(demanded, numbers.len());
        Sieve {
            rules: numbers.into(),
            forbidden: forbidden.build(words),
            columns: columns
                .into_iter()
                .map(|(values, rows)| Column {
                    demanding: bits(&rows, words),
                    values: values.build(words),
                })
                .collect(),
            refuses,
        }
    }
}

fn is_unknown(field: &Field<'_>) -> bool {
    let is_said = !field.demanded.1.is_empty() || !field.forbidden.1.is_empty();
    field.attribute == Attribute::Unknown && is_said
}

/// The fields of each row of a rule.
fn rows(rule: &Rule) -> Vec<Vec<Field<'_>>> {
    let mut sources: Vec<Option<&Source>> = rule.from.iter().map(Some).collect();
    let mut operations: Vec<Option<&Operation>> = rule.to.iter().map(Some).collect();
    while sources.len().max(1) * operations.len().max(1) > MOST_ROWS {
        match sources.len() > operations.len() {
            true => sources.clear(),
            false => operations.clear(),
        }
    }
    if sources.is_empty() {
        sources.push(None);
    }
    if operations.is_empty() {
        operations.push(None);
    }
    let pairs = sources.iter().flat_map(|source| operations.iter().map(|it| (*source, *it)));
    pairs.map(|(source, operation)| row(rule, source, operation)).collect()
}

fn row<'r>(
    rule: &'r Rule,
    source: Option<&'r Source>,
    operation: Option<&'r Operation>,
) -> Vec<Field<'r>> {
    let of_source = source.into_iter().flat_map(Source::fields);
    let of_operation = operation.into_iter().flat_map(Operation::fields);
    let conditions = rule.when.iter().map(|it| it.field());
    of_source.chain(of_operation).chain(conditions).collect()
}

/// Attributes that many rows demand are columns. The others are one together, with the rarest of those that a row demands.
fn columns(
    demanded: HashMap<Attribute, (Gathering, Vec<u32>)>,
    rows: usize,
) -> Vec<(Gathering, Vec<u32>)> {
    let mut all: Vec<(Gathering, Vec<u32>)> = demanded.into_values().collect();
    all.sort_by_key(|(_, demanding)| demanding.len());
    let dense = all.split_off(all.partition_point(|(_, it)| it.len() * DENSE < rows));
    let mut others: Option<(Gathering, Vec<u32>)> = None;
    let mut has_one = vec![false; rows];
    for (mut values, mut demanding) in all {
        let is_first = |row: &u32| !has_one[*row as usize];
        demanding.retain(is_first);
        values.retain(is_first);
        demanding.iter().for_each(|row| has_one[*row as usize] = true);
        match &mut others {
            None => others = Some((values, demanding)),
            Some((all_values, all_demanding)) => {
                all_values.all.extend(values.all);
                all_demanding.extend(demanding);
            }
        }
    }
    dense.into_iter().chain(others).collect()
}

/// Values that are being gathered.
#[derive(Debug)]
struct Gathering {
    all: HashMap<(Attribute, String), (Valuing, Vec<u32>)>,
    is_generous: bool,
}

#[derive(Debug)]
struct Valuing {
    test: Test,
    /// What is there where it matches.
    things: Option<Vec<Thing>>,
}

impl Gathering {
    fn new(is_generous: bool) -> Self {
        Gathering { all: HashMap::new(), is_generous }
    }

    fn push_all(&mut self, row: u32, attribute: &Attribute, texts: &[String], namespace: &str) {
        for text in texts {
            let text = match attribute {
                Attribute::ServiceAccount => account(text, namespace),
                _ => text.clone(),
            };
            let Some(test) = test_of(attribute, &text, namespace, self.is_generous) else {
                continue;
            };
            let things = value(attribute, &text, namespace);
            let new = || (Valuing { test, things }, Vec::new());
            let (_, rows) = self.all.entry((attribute.clone(), text)).or_insert_with(new);
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(&u32) -> bool) {
        self.all.values_mut().for_each(|(_, rows)| rows.retain(&keep));
    }

    fn build(self, words: usize) -> Values {
        let all: Vec<(Valuing, Vec<u32>)> = self.all.into_values().collect();
        let shares = Shares::of_things(all.iter().flat_map(|(it, _)| it.things.iter().flatten()));
        let (mut filling, mut always) = (Filling::default(), Vec::new());
        for (number, (valuing, _)) in all.iter().enumerate() {
            match valuing.things.as_ref().and_then(|things| shares.rarest(things)) {
                Some(thing) => filling.push(number as u32, thing),
                None => always.push(number as u32),
            }
        }
        let (by_text, always) = (filling.build(), always.into());
        let all = all
            .into_iter()
            .map(|(valuing, rows)| Valued { test: valuing.test, rows: Rows::of(rows, words) })
            .collect();
        Values { by_text, always, all }
    }
}

impl Values {
    /// Sets the rows of all values that are there.
    fn add_to<R: Request>(&self, facts: &Facts<'_, R>, rows: &mut [u64]) {
        let mut add = |numbers: &[u32]| {
            let valued = numbers.iter().filter_map(|number| self.all.get(*number as usize));
            // A text leads to all values that it can match, and to some that it does not.
            valued.filter(|it| it.test.finds(facts.view)).for_each(|it| it.rows.add_to(rows));
        };
        add(&self.always);
        self.by_text.each(facts, &mut add);
    }
}
