//! Changes of headers in their compiled form: one list in the order in which they are made.

use super::error::{Flaw, check_name, check_value};
use super::rule::{Header, HeaderOperations};

/// One change. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// The header is taken away.
    Remove(Box<str>),
    /// It is put in place of what is there.
    Set(Box<str>, Box<str>),
    /// It is put beside what is there.
    Add(Box<str>, Box<str>),
}

/// The changes of a route and of the destination chosen, in Envoy's order: those of the only destination belong to
/// the route and come after its own; those of one of several are made first. Takings away come before the rest of
/// their level.
pub(super) fn edits(
    route: &HeaderOperations,
    destination: &HeaderOperations,
    is_single: bool,
) -> Box<[HeaderEdit]> {
    let (route, destination) =
        ((removals(route), puts(route)), (removals(destination), puts(destination)));
    let parts = match is_single {
        true => [route.0, destination.0, route.1, destination.1],
        false => [destination.0, destination.1, route.0, route.1],
    };
    parts.concat().into()
}

/// The changes that one level makes.
pub(super) fn edits_of(operations: &HeaderOperations) -> Box<[HeaderEdit]> {
    edits(operations, &HeaderOperations::default(), true)
}

fn removals(operations: &HeaderOperations) -> Vec<HeaderEdit> {
    let names = operations.remove.iter().filter(|name| !is_internal(name));
    names.map(|name| HeaderEdit::Remove(lower(name))).collect()
}

fn puts(operations: &HeaderOperations) -> Vec<HeaderEdit> {
    type Make = fn(Box<str>, Box<str>) -> HeaderEdit;
    let all: [(&[Header], Make); 2] =
        [(&operations.set, HeaderEdit::Set), (&operations.add, HeaderEdit::Add)];
    let of = |(headers, make): (&[Header], Make)| {
        let headers = headers.iter().filter(|header| !is_internal(&header.name));
        let edits = headers.map(|header| make(lower(&header.name), header.value.as_str().into()));
        edits.collect::<Vec<_>>()
    };
    all.into_iter().flat_map(of).collect()
}

/// The authority that operations on a request's headers ask for (`host`, `:authority`); `set` counts before `add`.
pub(super) fn authority(operations: &HeaderOperations) -> Option<&str> {
    let last = |headers: &'_ [Header]| {
        headers.iter().rposition(|header| {
            header.name.eq_ignore_ascii_case("host")
                || header.name.eq_ignore_ascii_case(":authority")
        })
    };
    let set = last(&operations.set).map(|index| &operations.set[index]);
    let found = set.or_else(|| last(&operations.add).map(|index| &operations.add[index]));
    found.map(|header| header.value.as_str())
}

/// Checks that the operations break no message.
pub(super) fn check(operations: &HeaderOperations) -> Result<(), Flaw> {
    for (field, headers) in [("set", &operations.set), ("add", &operations.add)] {
        for header in headers {
            let at = format!("{field}[{}]", header.name);
            check_name(&at, header.name.strip_prefix(':').unwrap_or(&header.name))?;
            check_value(&at, &header.value)?;
        }
    }
    for name in &operations.remove {
        check_name("remove", name.strip_prefix(':').unwrap_or(name))?;
    }
    Ok(())
}

/// Whether operations on headers leave the name alone: those that stand for the request line (as in Istio), and those that say
/// where a message ends and what its connection does, which only who writes the message knows (RFC 9112, section 6).
fn is_internal(name: &str) -> bool {
    const FRAMING: [&str; 5] =
        ["host", "connection", "content-length", "transfer-encoding", "upgrade"];
    name.starts_with(':') || FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it))
}

fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}
