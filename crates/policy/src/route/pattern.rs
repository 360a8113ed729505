//! Patterns for texts in their compiled form. Regular expressions are bounded, match all of a text or nothing of
//! it, and mean what they mean to RE2: classes such as `\d` are ASCII, unless the expression itself speaks of
//! Unicode.

use std::collections::HashMap;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::Hir;
use thiserror::Error;

use super::rule::StringMatch;

/// How much memory the program of one expression may take.
const LARGEST: usize = 1 << 20;
/// How much memory the program of all expressions for the paths of one host may take.
const LARGEST_SET: usize = 8 << 20;
/// How much memory a thread may spend on running one expression quickly.
const CACHE: usize = 128 << 10;
/// How much memory a thread may spend on running a set of them quickly.
const SET_CACHE: usize = 1 << 20;
/// How deep groups and repetitions may be nested.
const DEEPEST: u32 = 100;
/// Istio's word for every text, though no regular expression.
pub(super) const ANY: &str = "*";

/// A regular expression that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It is none.
    #[error("`{pattern}` is no regular expression of RE2's kind: {reason}")]
    Syntax {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It takes too much memory.
    #[error(
        "the regular expression `{pattern}` takes more than {LARGEST} bytes when compiled: use smaller bounds of repetition"
    )]
    TooLarge {
        /// The expression.
        pattern: String,
    },
    /// All for the paths of one host together take too much memory.
    #[error(
        "the {count} regular expressions for the paths of this host take more than {LARGEST_SET} bytes when compiled: use `prefix` or `exact` where they do"
    )]
    SetTooLarge {
        /// How many there are.
        count: usize,
    },
    /// A rewrite speaks of a group that its pattern has not.
    #[error("`{rewrite}` speaks of group {group}, and `{pattern}` has {count}")]
    NoGroup {
        /// What stands there instead.
        rewrite: String,
        /// The expression.
        pattern: String,
        /// The group.
        group: usize,
        /// How many there are.
        count: usize,
    },
    /// A rewrite ends in, or has, a backslash with neither a digit nor another one after it.
    #[error("in `{rewrite}` a digit or another `\\` must stand after each `\\`")]
    Escape {
        /// What stands there instead.
        rewrite: String,
    },
}

/// A pattern for a text.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Present,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex(Regex),
}

impl Pattern {
    /// Whether the text, which is there, is what the pattern says.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Present => true,
            Pattern::Exact(exact) => text == &**exact,
            Pattern::Prefix(prefix) => text.starts_with(prefix),
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles patterns; the same expression is compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    whole: HashMap<String, Regex>,
}

impl Patterns {
    pub(super) fn compile(&mut self, rule: &StringMatch) -> Result<Pattern, PatternError> {
        Ok(match rule {
            StringMatch::Present => Pattern::Present,
            StringMatch::Exact(text) => Pattern::Exact(text.as_bytes().into()),
            StringMatch::Prefix(text) => Pattern::Prefix(text.as_bytes().into()),
            StringMatch::Regex(text) if text == ANY => Pattern::Present,
            StringMatch::Regex(text) => Pattern::Regex(self.whole(text)?),
        })
    }

    /// Checks an expression that becomes one of a set.
    pub(super) fn check(&mut self, pattern: &str) -> Result<(), PatternError> {
        self.whole(pattern).map(drop)
    }

    fn whole(&mut self, pattern: &str) -> Result<Regex, PatternError> {
        if let Some(known) = self.whole.get(pattern) {
            return Ok(known.clone());
        }
        let is_unicode = check(pattern)?;
        let regex = build(&anchored(pattern), pattern, is_unicode)?;
        self.whole.insert(pattern.into(), regex.clone());
        Ok(regex)
    }
}

/// Whether an expression can be used, by the very compilation that rules go through.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), PatternError> {
    Patterns::default().check(pattern)
}

/// An expression for parts of a text.
pub(super) fn compile_parts(pattern: &str) -> Result<Regex, PatternError> {
    let is_unicode = check(pattern)?;
    build(pattern, pattern, is_unicode)
}

/// Expressions for all of a text, as one automaton; each is known to be right by itself.
pub(super) fn compile_set(patterns: &[&str]) -> Result<RegexSet, PatternError> {
    let mut whole = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let flag = if check(pattern)? { "(?u)" } else { "(?-u)" };
        whole.push(format!("{flag}{}", anchored(pattern)));
    }
    let built = RegexSetBuilder::new(&whole)
        .size_limit(LARGEST_SET)
        .dfa_size_limit(SET_CACHE)
        .nest_limit(DEEPEST + 2)
        .build();
    built.map_err(|_| PatternError::SetTooLarge { count: patterns.len() })
}

fn anchored(pattern: &str) -> String {
    format!(r"\A(?:{pattern})\z")
}

/// How every text begins that the expression matches as a whole.
pub(super) fn literal_start(pattern: &str) -> Result<Vec<u8>, PatternError> {
    let (hir, _) = parse(pattern)?;
    let starts = regex_syntax::hir::literal::Extractor::new().extract(&hir);
    Ok(starts.longest_common_prefix().unwrap_or_default().to_vec())
}

/// Whether the expression, which stands by itself, speaks of Unicode.
fn check(pattern: &str) -> Result<bool, PatternError> {
    parse(pattern).map(|(_, is_unicode)| is_unicode)
}

fn parse(pattern: &str) -> Result<(Hir, bool), PatternError> {
    let parser = |is_unicode: bool| {
        let mut builder = regex_syntax::ParserBuilder::new();
        builder.nest_limit(DEEPEST).utf8(false).unicode(is_unicode).build()
    };
    if let Ok(hir) = parser(false).parse(pattern) {
        return Ok((hir, false));
    }
    match parser(true).parse(pattern) {
        Ok(hir) => Ok((hir, true)),
        Err(error) => Err(PatternError::Syntax { pattern: pattern.into(), reason: reason(&error) }),
    }
}

/// What is wrong with an expression, in one line.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        error => error.to_string(),
    }
}

fn build(text: &str, pattern: &str, is_unicode: bool) -> Result<Regex, PatternError> {
    let built = RegexBuilder::new(text)
        .unicode(is_unicode)
        .size_limit(LARGEST)
        .dfa_size_limit(CACHE)
        .nest_limit(DEEPEST + 2)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge { pattern: pattern.into() },
        _ => PatternError::Syntax {
            pattern: pattern.into(),
            reason: "it is not whole by itself".into(),
        },
    })
}
