//! Numbers by texts of attributes: of a whole text, of how it begins, and of how it ends.

use std::collections::HashMap;

use super::super::attribute::Attribute;
use super::demand::{How, Thing};
use crate::route::{Gathered, Prefixes};

/// Ends up to this length are turned round without allocation.
const SHORT: usize = 256;

/// Numbers by texts, attribute by attribute.
#[derive(Debug, Default)]
pub(super) struct Table {
    attributes: Box<[OfAttribute]>,
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
    /// Shows the lists of all texts, list by list. `texts` shows those of an attribute.
    pub(super) fn each(
        &self,
        texts: impl Fn(&Attribute, &mut dyn FnMut(&[u8])),
        show: &mut dyn FnMut(&[u32]),
    ) {
        for of_attribute in &self.attributes {
            texts(&of_attribute.attribute, &mut |text| of_attribute.each(text, show));
        }
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
            with_reversed(end, |end| self.ends.each(end, |lists| lists.each(&mut *show)));
        }
    }
}

fn with_reversed(text: &[u8], run: impl FnOnce(&[u8])) {
    let mut short = [0; SHORT];
    match short.get_mut(..text.len()) {
        Some(reversed) => {
            reversed.copy_from_slice(text);
            reversed.reverse();
            run(reversed);
        }
        None => run(&reversed(text)),
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
        Table { attributes: self.attributes.into_iter().map(build).collect() }
    }
}
