//! Numbers by texts of attributes: of a whole text, of how it begins, and of how it ends.

use std::collections::HashMap;

use super::super::attribute::Attribute;
use super::super::input::Request;
use super::demand::{How, Thing};
use super::texts::Facts;
use crate::route::{Gathered, Prefixes};

/// Texts up to this length are turned round and brought into lower case without allocation.
const SHORT: usize = 256;

/// Beyond so many names of headers (or of claims) it is looked which of them a request has, not what it has of each.
const FEW_NAMES: usize = 8;

/// Numbers by texts, attribute by attribute.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those that are asked for one by one.
    attributes: Box<[OfAttribute]>,
    /// Those of headers by their names in lower case, where they are many.
    headers: HashMap<Box<[u8]>, OfAttribute>,
    /// Those of claims by their names, where they are many.
    claims: HashMap<Box<str>, OfAttribute>,
}

/// Numbers by the texts of one attribute, each list in ascending order.
#[derive(Debug)]
struct OfAttribute {
    attribute: Attribute,
    exact: HashMap<Box<[u8]>, Box<[u32]>>,
    starts: Prefixes,
    /// Turned round, so that ends are beginnings.
    ends: Prefixes,
    longest_end: usize,
}

impl Table {
    /// Shows the lists of all texts, list by list.
    pub(super) fn each<R: Request>(&self, facts: &Facts<'_, R>, show: &mut dyn FnMut(&[u32])) {
        let mut look = |of: &OfAttribute| {
            facts.each(&of.attribute, &mut |text| of.each(text, show));
        };
        self.attributes.iter().for_each(&mut look);
        if !self.headers.is_empty() {
            let mut seen = Seen::default();
            let are_known = facts.each_header_name(&mut |name| {
                let of = with_copy(name, <[u8]>::make_ascii_lowercase, |it| self.headers.get(it));
                of.filter(|of| seen.is_new(of)).into_iter().for_each(&mut look);
            });
            if !are_known {
                self.headers.values().for_each(&mut look);
            }
        }
        if !self.claims.is_empty() {
            let are_known = facts.each_claim_name(&mut |name| {
                self.claims.get(name).into_iter().for_each(&mut look);
            });
            if !are_known {
                self.claims.values().for_each(&mut look);
            }
        }
    }
}

/// The last headers that were met: one that comes on many lines is looked at once.
#[derive(Default)]
struct Seen<'t> {
    met: [Option<&'t OfAttribute>; 16],
    count: usize,
}

impl<'t> Seen<'t> {
    fn is_new(&mut self, of: &'t OfAttribute) -> bool {
        if self.met.iter().flatten().any(|met| std::ptr::eq(*met, of)) {
            return false;
        }
        self.met[self.count % self.met.len()] = Some(of);
        self.count += 1;
        true
    }
}

impl OfAttribute {
    fn each(&self, text: &[u8], show: &mut dyn FnMut(&[u32])) {
        if let Some(list) = self.exact.get(text) {
            show(list);
        }
        if !self.starts.is_empty() {
            self.starts.each(text, |lists| lists.each(&mut *show));
        }
        if !self.ends.is_empty() {
            // No more of it can be an end that is looked for.
            let end = &text[text.len().saturating_sub(self.longest_end)..];
            let look = |end: &[u8]| self.ends.each(end, |lists| lists.each(&mut *show));
            with_copy(end, <[u8]>::reverse, look);
        }
    }

    /// The name by which a request shows that it has the attribute.
    fn name(&self) -> Named {
        match &self.attribute {
            Attribute::Header(name) if !name.starts_with(':') && **name != *"host" => {
                Named::Header(name.as_bytes().into())
            }
            Attribute::Claim(path) => Named::Claim(path.join("][").into()),
            _ => Named::Not,
        }
    }
}

/// How an attribute is named by a request that has it.
enum Named {
    Header(Box<[u8]>),
    Claim(Box<str>),
    Not,
}

/// Runs with a copy of a text that was changed.
fn with_copy<T>(text: &[u8], change: impl Fn(&mut [u8]), run: impl FnOnce(&[u8]) -> T) -> T {
    let mut short = [0; SHORT];
    match short.get_mut(..text.len()) {
        Some(copy) => {
            copy.copy_from_slice(text);
            change(copy);
            run(copy)
        }
        None => {
            let mut copy = text.to_vec();
            change(&mut copy);
            run(&copy)
        }
    }
}

fn reversed(text: &[u8]) -> Vec<u8> {
    text.iter().rev().copied().collect()
}

/// A table that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling<'t> {
    places: HashMap<&'t Attribute, usize>,
    attributes: Vec<FillingOne<'t>>,
}

#[derive(Debug)]
struct FillingOne<'t> {
    attribute: &'t Attribute,
    exact: HashMap<&'t [u8], Vec<u32>>,
    starts: Gathered,
    ends: Gathered,
    longest_end: usize,
}

impl<'t> Filling<'t> {
    /// Puts a number where a thing is; numbers ascend.
    pub(super) fn push(&mut self, number: u32, thing: &'t Thing) {
        let Thing { attribute, how, text } = thing;
        let place = *self.places.entry(attribute).or_insert(self.attributes.len());
        if place == self.attributes.len() {
            self.attributes.push(FillingOne {
                attribute,
                exact: HashMap::new(),
                starts: Gathered::default(),
                ends: Gathered::default(),
                longest_end: 0,
            });
        }
        let one = &mut self.attributes[place];
        match how {
            How::Exact => one.exact.entry(text).or_default().push(number),
            How::Start => one.starts.at(text.to_vec()).letters.push(number),
            How::End => {
                one.longest_end = one.longest_end.max(text.len());
                one.ends.at(reversed(text)).letters.push(number);
            }
        }
    }

    pub(super) fn build(self) -> Table {
        let build = |one: FillingOne<'_>| OfAttribute {
            attribute: one.attribute.clone(),
            exact: one.exact.into_iter().map(|(text, list)| (text.into(), list.into())).collect(),
            starts: one.starts.build(),
            ends: one.ends.build(),
            longest_end: one.longest_end,
        };
        let all: Vec<OfAttribute> = self.attributes.into_iter().map(build).collect();
        let count = |counts: fn(&Named) -> bool| all.iter().filter(|it| counts(&it.name())).count();
        let by_header = count(|name| matches!(name, Named::Header(_))) > FEW_NAMES;
        let by_claim = count(|name| matches!(name, Named::Claim(_))) > FEW_NAMES;
        let (mut attributes, mut headers, mut claims) =
            (Vec::new(), HashMap::new(), HashMap::new());
        for of in all {
            match of.name() {
                Named::Header(name) if by_header => drop(headers.insert(name, of)),
                Named::Claim(name) if by_claim => drop(claims.insert(name, of)),
                _ => attributes.push(of),
            }
        }
        Table { attributes: attributes.into(), headers, claims }
    }
}
