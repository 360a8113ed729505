//! What a rule demands so that it can be found by it.

use std::net::IpAddr;

use super::super::attribute::Attribute;
use super::super::compile::{Field, account};
use super::super::matcher::Pattern;
use super::super::rule::Rule;
use super::super::template::Template;
use crate::route::Subnet;

/// Something that a text of an attribute has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Thing {
    pub(super) attribute: Attribute,
    pub(super) how: How,
    pub(super) text: Box<[u8]>,
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum How {
    /// It is all of it.
    Exact,
    /// It is the beginning. An empty one is that of every text: something has to be there.
    Start,
    /// It is the end.
    End,
}

/// A part of a rule: one of the branches must match (the sources, the operations; a condition is alone).
pub(super) type Part = Vec<Branch>;
/// A branch: all of its lists must match.
pub(super) type Branch = Vec<List>;
/// A list: one of its values must match.
pub(super) type List = Vec<Value>;
/// A value: where it matches, each of these things is there.
pub(super) type Value = Vec<Thing>;

/// What a rule of a policy of this namespace demands of a connection.
pub(super) fn of_connection(rule: &Rule, namespace: &str) -> Vec<Part> {
    parts(rule, namespace, |attribute| !attribute.is_of_request())
}

/// The same of a request.
pub(super) fn of_request(rule: &Rule, namespace: &str) -> Vec<Part> {
    parts(rule, namespace, Attribute::is_of_request)
}

/// The parts by which a rule can be found: those of which each branch demands something.
fn parts(rule: &Rule, namespace: &str, counts: fn(&Attribute) -> bool) -> Vec<Part> {
    let branch = |fields: &[Field<'_>]| -> Branch {
        let counting = fields.iter().filter(|field| counts(&field.attribute));
        counting.filter_map(|field| list(field, namespace)).collect()
    };
    let sources = rule.from.iter().map(|it| branch(&it.fields())).collect();
    let operations = rule.to.iter().map(|it| branch(&it.fields())).collect();
    let conditions = rule.when.iter().map(|it| vec![branch(&[it.field()])]);
    let all = [sources, operations].into_iter().chain(conditions);
    let is_whole = |part: &Part| !part.is_empty() && part.iter().all(|it| !it.is_empty());
    all.filter(is_whole).collect()
}

/// The values of which a field demands one; `None` where it demands nothing that a rule could be found by.
pub(super) fn list(field: &Field<'_>, namespace: &str) -> Option<List> {
    let texts = field.demanded.1;
    let values = texts.iter().map(|text| value(&field.attribute, text, namespace));
    let values: List = values.collect::<Option<_>>()?;
    (!values.is_empty()).then_some(values)
}

/// The things that are there where a value matches; `None` where it is not known by any, or matches always.
pub(super) fn value(attribute: &Attribute, text: &str, namespace: &str) -> Option<Value> {
    let (how, text): (How, Vec<u8>) = match attribute {
        Attribute::Unknown => return None,
        Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
            let block: Subnet = text.parse().ok()?;
            let bits = Bits::of(block.address());
            (How::Start, bits.first(block.length()).into())
        }
        Attribute::Port => (How::Exact, text.parse::<u16>().ok()?.to_be_bytes().into()),
        Attribute::Path if Template::is_one(text) => return template(text),
        Attribute::Host => pattern(&text.to_ascii_lowercase()),
        Attribute::ServiceAccount => pattern(&account(text, namespace)),
        Attribute::RequestPrincipal => match pattern(text) {
            // A principal without `/` is an issuer with an empty subject.
            (How::Exact, exact) if !text.contains('/') => (How::Exact, [&exact[..], b"/"].concat()),
            other => other,
        },
        _ => pattern(text),
    };
    let attribute = match attribute {
        // Names of headers have no case (RFC 9110, section 5.1).
        Attribute::Header(name) => Attribute::Header(name.to_ascii_lowercase().into()),
        other => other.clone(),
    };
    let thing = Thing { attribute, how, text: text.into() };
    // Every path, host and method begins with nothing: that tells no two apart.
    let is_always =
        matches!(thing.attribute, Attribute::Path | Attribute::Host | Attribute::Method)
            && how != How::Exact
            && thing.text.is_empty();
    (!is_always).then(|| vec![thing])
}

fn pattern(text: &str) -> (How, Vec<u8>) {
    match Pattern::parse(text) {
        Pattern::Present => (How::Start, Vec::new()),
        Pattern::Exact(text) => (How::Exact, text.into()),
        Pattern::Prefix(text) => (How::Start, text.into()),
        Pattern::Suffix(text) => (How::End, text.into()),
    }
}

/// How paths begin and end that a template matches, and which parts they have between its operators.
fn template(text: &str) -> Option<Value> {
    let template = Template::parse(text)?;
    let mut things = Vec::new();
    let mut add = |attribute: Attribute, how: How, text: &[u8]| {
        if !text.is_empty() {
            things.push(Thing { attribute, how, text: text.into() });
        }
    };
    add(Attribute::Path, How::Start, template.start());
    add(Attribute::Path, How::End, template.end());
    for (first, parts) in literal_runs(text) {
        let attribute = Attribute::Parts(first, parts.len() as u16);
        add(attribute, How::Exact, parts.join("/").as_bytes());
    }
    (!things.is_empty()).then_some(things)
}

/// The runs of parts that are written out, each with the number of its first part. Behind `{**}` numbers are not known; the run
/// before the first operator is how the path begins.
fn literal_runs(template: &str) -> Vec<(u16, Vec<&str>)> {
    let mut runs: Vec<(u16, Vec<&str>)> = Vec::new();
    let mut is_open = false;
    let numbered = template.split('/').take_while(|part| *part != "{**}").enumerate();
    for (number, part) in numbered.skip_while(|(_, part)| *part != "{*}") {
        match (part, runs.last_mut()) {
            ("{*}", _) => is_open = false,
            (part, Some((_, parts))) if is_open => parts.push(part),
            (part, _) => {
                let Ok(number) = u16::try_from(number) else { break };
                runs.push((number, vec![part]));
                is_open = true;
            }
        }
    }
    runs
}

/// An address as a text in which blocks of addresses are beginnings: its family, then a letter for each bit.
pub(super) struct Bits {
    letters: [u8; 1 + 128],
    length: usize,
}

impl Bits {
    pub(super) fn of(address: IpAddr) -> Bits {
        let (family, bits, count) = match address {
            IpAddr::V4(address) => (b'4', u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (b'6', address.to_bits(), 128),
        };
        let mut letters = [family; 1 + 128];
        for (at, letter) in letters[1..=count].iter_mut().enumerate() {
            *letter = b'0' + (bits >> (127 - at) & 1) as u8;
        }
        Bits { letters, length: 1 + count }
    }

    /// All of it.
    pub(super) fn all(&self) -> &[u8] {
        &self.letters[..self.length]
    }

    /// The text of the block of so many bits.
    fn first(&self, bits: u8) -> &[u8] {
        let all = self.all();
        all.get(..=usize::from(bits)).unwrap_or(all)
    }
}
