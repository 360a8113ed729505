//! An authorizer that is asked by HTTP: a request like the one that is to be judged, whose status is the answer.

use bytes::Bytes;
use meltemi_policy::authz::provider::{Authorizer, Http, HttpNames};

use super::PARTIAL;
use super::answer::{Allowed, Answer, Change, Denied, How, MOST_CHANGES};
use super::shown::Shown;
use crate::http::head::{BodyLength, Fields, RequestHead};
use crate::http::known::Known;
use crate::outbound::edit::put;
use crate::outbound::own::Answered;

/// In which an authorizer names the headers that the application is not to see, with commas between them.
const TO_REMOVE: &[u8] = b"x-envoy-auth-headers-to-remove";

/// The question about a request.
pub(super) fn question(
    http: &Http,
    names: &HttpNames,
    request: &RequestHead,
    shown: Option<&Shown>,
) -> (RequestHead, Bytes) {
    let mut head = RequestHead::default();
    head.method = head.fields.store(request.method());
    head.set_target(&[http.path_prefix.as_bytes(), request.target()].concat());
    head.set_authority(request.authority());
    for (known, name, value) in request.fields.iter() {
        let is_framing = known.is_hop_by_hop()
            || matches!(known, Known::ContentLength | Known::Expect | Known::NotAnswered);
        if !is_framing && names.to_check.matches(name) {
            head.fields.push(name, value);
        }
    }
    for (name, value) in &http.include_additional_headers_in_check {
        put(&mut head.fields, name, value.as_bytes());
    }
    let body = match shown {
        Some(shown) => {
            put(&mut head.fields, PARTIAL, shown.is_partial.to_string().as_bytes());
            Bytes::copy_from_slice(&shown.bytes)
        }
        None => Bytes::new(),
    };
    put(&mut head.fields, "content-length", body.len().to_string().as_bytes());
    head.body = match body.len() {
        0 => BodyLength::Empty,
        length => BodyLength::Exact(length as u64),
    };
    (head, body)
}

/// What the answer means. The error says why it means nothing.
pub(super) fn answer(authorizer: &Authorizer, answered: &Answered) -> Result<Answer, String> {
    let Some(names) = &authorizer.names else { return Err("it is not asked by HTTP".into()) };
    let (head, body) = (&answered.answer.head, &answered.answer.body);
    let fields = &head.fields;
    match head.status {
        200 => Ok(Answer::Allow(Allowed {
            request: chosen(fields, |name| names.to_upstream.matches(name))?,
            remove: to_remove(fields)?,
            response: chosen(fields, |name| names.on_allow.matches(name))?,
            ..Allowed::default()
        })),
        status @ 500.. => Err(format!("it answered with status {status}")),
        status => Ok(Answer::Deny(Denied {
            status: Some(status),
            headers: chosen(fields, |name| {
                names.on_deny.as_ref().is_none_or(|list| list.matches(name))
            })?,
            body: body.clone(),
        })),
    }
}

/// The headers of an answer that are passed on: the first of a name instead of those that are there, further ones beside it.
fn chosen(fields: &Fields, is_chosen: impl Fn(&[u8]) -> bool) -> Result<Vec<Change>, String> {
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut changes = Vec::new();
    for (_, name, value) in fields.iter() {
        if !is_chosen(name) || name.eq_ignore_ascii_case(TO_REMOVE) {
            continue;
        }
        let is_first = !seen.iter().any(|it| it.eq_ignore_ascii_case(name));
        let how = if is_first { How::Set } else { How::Add };
        seen.push(name);
        changes.extend(Change::new(name, value, how));
    }
    match changes.len() > MOST_CHANGES {
        true => Err(format!("it changes more than {MOST_CHANGES} headers")),
        false => Ok(changes),
    }
}

fn to_remove(fields: &Fields) -> Result<Vec<Vec<u8>>, String> {
    let lines = fields.iter().filter(|(_, name, _)| name.eq_ignore_ascii_case(TO_REMOVE));
    let names = lines.flat_map(|(_, _, value)| value.split(|byte| *byte == b','));
    let names: Vec<Vec<u8>> =
        names.map(|it| it.trim_ascii().to_vec()).filter(|it| !it.is_empty()).collect();
    match names.len() > MOST_CHANGES {
        true => Err(format!("it removes more than {MOST_CHANGES} headers")),
        false => Ok(names),
    }
}

#[cfg(test)]
mod tests;
