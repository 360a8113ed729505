//! What a match asks of a request beside its path.

use super::pattern::{Pattern, PatternError, Patterns};
use super::request::{Request, find_parameter};
use super::rule::{HttpMatch, StringMatch};

/// One thing that is asked.
#[derive(Debug)]
pub(super) enum Condition {
    Port(u16),
    Method(Pattern),
    Scheme(Pattern),
    Authority(Pattern),
    Header(Box<str>, Pattern),
    /// The header is not so; one that is not there counts as empty.
    NotHeader(Box<str>, Pattern),
    Parameter(Box<[u8]>, Pattern),
}

impl Condition {
    pub(super) fn holds(&self, request: &dyn Request) -> bool {
        match self {
            Condition::Port(port) => request.port() == *port,
            Condition::Method(pattern) => pattern.matches(request.method()),
            Condition::Scheme(pattern) => pattern.matches(request.scheme()),
            Condition::Authority(pattern) => pattern.matches(request.authority()),
            Condition::Header(name, pattern) => {
                find_header(request, name, |value| value.is_some_and(|it| pattern.matches(it)))
            }
            Condition::NotHeader(name, Pattern::Present) => {
                find_header(request, name, |value| value.is_none())
            }
            Condition::NotHeader(name, pattern) => {
                find_header(request, name, |value| !pattern.matches(value.unwrap_or_default()))
            }
            Condition::Parameter(name, pattern) => {
                find_parameter(request.path(), name).is_some_and(|value| pattern.matches(value))
            }
        }
    }
}

/// Envoy has method, host, path and scheme among the headers, so that rules may name them there.
fn find_header(
    request: &dyn Request,
    name: &str,
    decide: impl FnOnce(Option<&[u8]>) -> bool,
) -> bool {
    match name {
        ":method" => decide(Some(request.method())),
        ":path" => decide(Some(request.path())),
        ":scheme" => decide(Some(request.scheme())),
        ":authority" | "host" => decide(Some(request.authority())),
        _ => decide(request.header(name).as_deref()),
    }
}

/// What a match asks, cheap things first; what its field is called stands beside an error.
pub(super) fn compile(
    rule: &HttpMatch,
    patterns: &mut Patterns,
) -> Result<Box<[Condition]>, (String, PatternError)> {
    let mut conditions = Vec::new();
    conditions.extend(rule.port.map(Condition::Port));
    let mut one = |field: &str, rule: &StringMatch| {
        patterns.compile(rule).map_err(|error| (field.to_owned(), error))
    };
    type Make = fn(Pattern) -> Condition;
    let parts: [(&str, &Option<StringMatch>, Make); 3] = [
        ("method", &rule.method, Condition::Method),
        ("scheme", &rule.scheme, Condition::Scheme),
        ("authority", &rule.authority, Condition::Authority),
    ];
    for (field, rule, make) in parts {
        if let Some(rule) = rule {
            conditions.push(make(one(field, rule)?));
        }
    }
    for (name, rule) in &rule.headers {
        let pattern = one(&format!("headers[{name}]"), rule)?;
        conditions.push(Condition::Header(header_name(name), pattern));
    }
    for (name, rule) in &rule.without_headers {
        let pattern = one(&format!("withoutHeaders[{name}]"), rule)?;
        conditions.push(Condition::NotHeader(header_name(name), pattern));
    }
    for (name, rule) in &rule.query_params {
        let pattern = one(&format!("queryParams[{name}]"), rule)?;
        conditions.push(Condition::Parameter(name.as_bytes().into(), pattern));
    }
    Ok(conditions.into())
}

/// Claims keep their case; headers have none.
fn header_name(name: &str) -> Box<str> {
    match name.starts_with('@') {
        true => name.into(),
        false => name.to_ascii_lowercase().into(),
    }
}
