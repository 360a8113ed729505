//! What can be wrong with rules, and where: told when they are compiled, so that nothing goes wrong on a request's
//! way.

use thiserror::Error;

use super::connections::SubnetError;
use super::pattern::PatternError;
use super::rule::Api;
use crate::retry::UnknownCondition;

/// Rules that are not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} {namespace}/{name}, {at}: {problem}", api.rules())]
pub struct CompileError {
    /// The API that they were written in.
    pub api: Api,
    /// The namespace of the virtual service, or of the routes.
    pub namespace: String,
    /// Its name, or that of the oldest of the routes.
    pub name: String,
    /// The field, as in `http[2].match[0].uri`, with the route's name if it has one.
    pub at: String,
    /// What is wrong.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A regular expression.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A condition for another attempt.
    #[error(transparent)]
    RetryOn(#[from] UnknownCondition),
    /// A block of addresses.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// Nobody is named.
    #[error("no destination: name one")]
    NoDestination,
    /// Nobody has a share.
    #[error("the weights of all destinations are 0, so that nobody is called: give each its share")]
    NoWeight,
    /// A status that is none, or not one of its kind.
    #[error("{0} is not a status that can be answered here")]
    Status(u16),
    /// A text that would break the message that it is put into.
    #[error("`{0}` has a character that cannot stand there")]
    Text(String),
    /// A header's name that is none.
    #[error("`{0}` is not the name of a header")]
    HeaderName(String),
}

/// A problem and the field that has it, on its way up to a [`CompileError`].
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) at: String,
    pub(super) problem: Problem,
}

impl Flaw {
    pub(super) fn new(at: impl Into<String>, problem: impl Into<Problem>) -> Flaw {
        Flaw { at: at.into(), problem: problem.into() }
    }

    /// The flaw as the field around sees it.
    pub(super) fn under(self, parent: &str) -> Flaw {
        Flaw { at: format!("{parent}.{}", self.at), ..self }
    }
}

/// Whether the text can be a part of a request's target or authority (RFC 9112, 3.2): no spaces, nothing that ends a line.
pub fn is_target_text(text: &str) -> bool {
    !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
}

/// Whether the text can be a header's value (RFC 9110, 5.5): no control characters but tabs.
pub fn is_header_value(text: &str) -> bool {
    !text.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
}

/// Whether a rule can answer with the status: one that is final (RFC 9110, 15).
pub fn is_answer_status(status: u16) -> bool {
    (200..=599).contains(&status)
}

/// A text for a request's head.
pub(super) fn check_target(at: &str, text: &str) -> Result<(), Flaw> {
    match is_target_text(text) {
        false => Err(Flaw::new(at, Problem::Text(text.into()))),
        true => Ok(()),
    }
}

/// A header's value.
pub(super) fn check_value(at: &str, text: &str) -> Result<(), Flaw> {
    match is_header_value(text) {
        false => Err(Flaw::new(at, Problem::Text(text.into()))),
        true => Ok(()),
    }
}

/// A header's name (RFC 9110, `token`).
pub(super) fn check_name(at: &str, name: &str) -> Result<(), Flaw> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !name.is_empty() && name.bytes().all(is_token) {
        true => Ok(()),
        false => Err(Flaw::new(at, Problem::HeaderName(name.into()))),
    }
}
