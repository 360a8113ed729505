//! Where a token may stand in a request, and what a request is without it.

use std::borrow::Cow;

use meltemi_names::is_framing_header;

use super::refusal::Refusal;
use super::rule::JwtRule;

/// A request, as tokens are looked for in it.
pub trait Request {
    /// The method.
    fn method(&self) -> &[u8];
    /// The path with its query.
    fn target(&self) -> &[u8];
    /// Names and values of the header fields, in their order; names in any case.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

/// A header by its name, and what stands before the token.
type HeaderPlace = (Box<[u8]>, Box<[u8]>);

/// The places of one rule.
#[derive(Debug, Default)]
pub(super) struct Places {
    headers: Vec<HeaderPlace>,
    parameters: Vec<Box<[u8]>>,
    cookies: Vec<Box<[u8]>>,
}

impl Places {
    /// The places that a rule names; where it names none, `Authorization: Bearer` and the parameter `access_token` (Istio's
    /// reference, `JWTRule`).
    pub(super) fn of(rule: &JwtRule) -> Places {
        let bytes = |text: &String| text.as_bytes().into();
        let mut places = Places {
            headers: rule
                .from_headers
                .iter()
                .map(|it| (bytes(&it.name), bytes(&it.prefix)))
                .collect(),
            parameters: rule.from_params.iter().map(bytes).collect(),
            cookies: rule.from_cookies.iter().map(bytes).collect(),
        };
        if places.headers.is_empty() && places.parameters.is_empty() && places.cookies.is_empty() {
            places.headers.push((b"authorization"[..].into(), b"Bearer "[..].into()));
            places.parameters.push(b"access_token"[..].into());
        }
        places
    }

    /// Shows every token of a request, until one is refused.
    pub(super) fn visit(
        &self,
        request: &impl Request,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        for (name, prefix) in &self.headers {
            let values = request.fields().filter(|(own, _)| own.eq_ignore_ascii_case(name));
            values.filter_map(|(_, value)| after_prefix(value, prefix)).try_for_each(&mut *each)?;
        }
        if !self.parameters.is_empty() {
            for pair in pairs(request.target()) {
                let (name, value) = split(pair, b'=');
                if is_one_of(&decoded(name), &self.parameters) {
                    each(&decoded(value))?;
                }
            }
        }
        if !self.cookies.is_empty() {
            let cookies = request.fields().filter(|(own, _)| own.eq_ignore_ascii_case(b"cookie"));
            for pair in cookies.flat_map(|(_, value)| value.split(|byte| *byte == b';')) {
                let (name, value) = split(pair, b'=');
                if is_one_of(name.trim_ascii(), &self.cookies) {
                    each(unquoted(value.trim_ascii()))?;
                }
            }
        }
        Ok(())
    }

    /// The headers in which this request has a token: they are taken out as a whole, as Envoy does. Not one that says where
    /// the request goes or ends.
    pub(super) fn token_headers(&self, request: &impl Request) -> impl Iterator<Item = &[u8]> {
        let has_token = |(name, prefix): &&HeaderPlace| {
            request.fields().any(|(own, value)| {
                own.eq_ignore_ascii_case(name) && after_prefix(value, prefix).is_some()
            })
        };
        let names = self.headers.iter().filter(has_token).map(|(name, _)| &**name);
        names.filter(|name| !std::str::from_utf8(name).is_ok_and(is_framing_header))
    }

    pub(super) fn without_parameters(&self, target: &[u8]) -> Option<Vec<u8>> {
        without_parameters(target, &self.parameters)
    }

    pub(super) fn without_cookies(&self, value: &[u8]) -> Option<Vec<u8>> {
        without_cookies(value, &self.cookies)
    }
}

/// What a target is without these parameters of its query; `None` if it has none of them.
pub fn without_parameters(target: &[u8], names: &[Box<[u8]>]) -> Option<Vec<u8>> {
    let is_token = |pair: &&[u8]| is_one_of(&decoded(split(pair, b'=').0), names);
    if names.is_empty() || !pairs(target).any(|pair| is_token(&pair)) {
        return None;
    }
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let mut rest = target[..query].to_vec();
    for (at, pair) in pairs(target).filter(|pair| !is_token(pair)).enumerate() {
        rest.push(if at == 0 { b'?' } else { b'&' });
        rest.extend_from_slice(pair);
    }
    Some(rest)
}

/// What a `cookie` field is without these cookies, perhaps nothing; `None` if it has none of them.
pub fn without_cookies(value: &[u8], names: &[Box<[u8]>]) -> Option<Vec<u8>> {
    let is_token = |pair: &&[u8]| is_one_of(split(pair, b'=').0.trim_ascii(), names);
    let pairs = || value.split(|byte| *byte == b';');
    if names.is_empty() || !pairs().any(|pair| is_token(&pair)) {
        return None;
    }
    let rest: Vec<&[u8]> = pairs().filter(|pair| !is_token(pair)).map(<[u8]>::trim_ascii).collect();
    Some(rest.join(&b"; "[..]))
}

/// The token in a header's value: behind the prefix, wherever that stands, from the first letter on that a token may have
/// (Envoy's extractor). Without the prefix there is none.
fn after_prefix<'v>(value: &'v [u8], prefix: &[u8]) -> Option<&'v [u8]> {
    if prefix.is_empty() {
        return (!value.is_empty()).then_some(value);
    }
    let found = value.windows(prefix.len()).position(|part| part == prefix)?;
    let rest = &value[found + prefix.len()..];
    let is_of_token =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let start = rest.iter().position(is_of_token);
    // What follows the prefix is meant for a token, be it none.
    Some(start.map_or(rest, |start| &rest[start..]))
}

/// The pairs of a target's query, as they stand there.
fn pairs(target: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query =
        target.iter().position(|byte| *byte == b'?').map_or(&b""[..], |at| &target[at + 1..]);
    let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty())
}

fn split(pair: &[u8], at: u8) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == at) {
        Some(found) => (&pair[..found], &pair[found + 1..]),
        None => (pair, b""),
    }
}

fn is_one_of(name: &[u8], names: &[Box<[u8]>]) -> bool {
    names.iter().any(|own| **own == *name)
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Text of a query with its `%` taken for what they mean; what means nothing stays.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(plain)
}
