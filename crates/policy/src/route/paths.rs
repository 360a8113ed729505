//! Paths in their compiled form: which entries of a table are candidates for a path, without a scan over all of them.
//!
//! Entries are numbered in the order of the rules, and the least number whose other conditions hold is what is
//! looked for. So the lists of candidates (of the path itself, of each prefix of it, of each expression that
//! matches it) need not be merged: each is gone through only up to the best number found so far.

use std::collections::HashMap;

use regex::bytes::RegexSet;

use super::pattern::{PatternError, compile_set, literal_start};

pub(crate) mod prefixes;

use prefixes::{Gathered, Lists, Prefixes};

/// Numbers of entries, least first.
type List = Vec<u32>;

/// Paths up to this length are folded without allocation.
const SHORT: usize = 256;
/// No entry.
const NONE: u32 = u32::MAX;

/// How an entry's path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    Any,
    Exact,
    /// A prefix of this length.
    Prefix(u32),
    /// A prefix of whole segments, of this length without a slash at its end.
    Segments(u32),
    Regex,
}

/// The entries of a table by path.
#[derive(Debug, Default)]
pub(super) struct Paths {
    plain: Prefixes,
    /// Those in which case does not count, in lower case.
    folded: Prefixes,
    regexes: Option<RegexSet>,
    /// By number in the set.
    by_regex: Vec<List>,
}

impl Paths {
    /// The least entry for this path, without query, that is accepted.
    pub(super) fn find_first(
        &self,
        path: &[u8],
        mut accept: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let (mut best, mut first_regex) = (NONE, NONE);
        let mut look = |list: &[u32], best: &mut u32| {
            let open = list.iter().take_while(|entry| **entry < *best);
            if let Some(found) = open.copied().find(|entry| accept(*entry)) {
                *best = found;
            }
        };
        self.plain.each(path, |lists| {
            first_regex = first_regex.min(lists.first_regex);
            lists.each(|list| look(list, &mut best));
        });
        if !self.folded.is_empty() {
            with_folded(path, |path| {
                self.folded.each(path, |lists| lists.each(|list| look(list, &mut best)));
            });
        }
        // Most paths begin as no expression does, or have found a rule before the first of them.
        if let Some(regexes) = self.regexes.as_ref().filter(|_| first_regex < best) {
            for matched in regexes.matches(path) {
                look(&self.by_regex[matched], &mut best);
            }
        }
        (best != NONE).then_some(best)
    }
}

fn with_folded(path: &[u8], run: impl FnOnce(&[u8])) {
    let mut short = [0; SHORT];
    match short.get_mut(..path.len()) {
        Some(folded) => {
            folded.copy_from_slice(path);
            folded.make_ascii_lowercase();
            run(folded);
        }
        None => run(&path.to_ascii_lowercase()),
    }
}

/// Paths that are being gathered, in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct PathsBuilder<'r> {
    plain: Gathered,
    folded: Gathered,
    regexes: HashMap<&'r str, usize>,
    texts: Vec<&'r str>,
    by_regex: Vec<List>,
}

impl<'r> PathsBuilder<'r> {
    /// Adds an entry for every path.
    pub(super) fn any(&mut self, entry: u32) {
        self.plain.at(Vec::new()).letters.push(entry);
    }

    /// Adds an entry for one path.
    pub(super) fn exact(&mut self, path: &str, ignore_case: bool, entry: u32) {
        self.lists(path, ignore_case).exact.push(entry);
    }

    /// Adds an entry for paths that begin so, letter by letter.
    pub(super) fn prefix(&mut self, prefix: &str, ignore_case: bool, entry: u32) {
        self.lists(prefix, ignore_case).letters.push(entry);
    }

    /// Adds an entry for paths that begin so, segment by segment.
    pub(super) fn segments(&mut self, prefix: &str, ignore_case: bool, entry: u32) {
        self.lists(prefix, ignore_case).segments.push(entry);
    }

    /// Adds an entry for paths that an expression matches, which is known to be right by itself.
    pub(super) fn regex(&mut self, pattern: &'r str, entry: u32) -> Result<(), PatternError> {
        let lists = self.plain.at(literal_start(pattern)?);
        lists.first_regex = lists.first_regex.min(entry);
        let number = *self.regexes.entry(pattern).or_insert(self.texts.len());
        if number == self.texts.len() {
            self.texts.push(pattern);
            self.by_regex.push(List::new());
        }
        self.by_regex[number].push(entry);
        Ok(())
    }

    /// The paths, or what is wrong with all their expressions together.
    pub(super) fn build(self) -> Result<Paths, PatternError> {
        let regexes = (!self.texts.is_empty()).then(|| compile_set(&self.texts)).transpose()?;
        Ok(Paths {
            plain: self.plain.build(),
            folded: self.folded.build(),
            regexes,
            by_regex: self.by_regex,
        })
    }

    fn lists(&mut self, text: &str, ignore_case: bool) -> &mut Lists<List> {
        match ignore_case {
            true => self.folded.at(text.to_ascii_lowercase().into_bytes()),
            false => self.plain.at(text.to_owned().into_bytes()),
        }
    }
}
