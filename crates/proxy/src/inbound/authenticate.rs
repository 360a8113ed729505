//! Who bears the token of a request, by the `RequestAuthentication`s of our workload: judged before authorization, which
//! asks what it says.

use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_policy::jwt::{Authenticated, Authentication, Refusal, Request};
use meltemi_telemetry::ResponseFlags;

use crate::config::{Inbound, InboundPort};
use crate::exchange::Call;
use crate::finish::local::respond;
use crate::finish::outcome::Outcome;
use crate::http::head::RequestHead;
use crate::http::known::Known;
use crate::worker::Worker;

/// How much of a path stands in `www-authenticate`, bytes (Envoy's limit).
const REALM: usize = 256;

impl Request for RequestHead {
    fn method(&self) -> &[u8] {
        self.method()
    }

    fn target(&self) -> &[u8] {
        self.target()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(_, name, value)| (name, value))
    }
}

/// Verifies the request's tokens, and makes the request what the application is to see: without tokens that are not
/// forwarded, with the headers that tell of claims, which only we write. `None` where the request has no token.
pub(crate) fn authenticate<'a>(
    worker: &Worker,
    (inbound, port): (&'a Inbound, &InboundPort),
    head: &mut RequestHead,
) -> Result<Option<Authenticated<'a>>, Refusal> {
    let Some(rules) = inbound.authentication.of(&port.host) else { return Ok(None) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let judged = rules.judge(head, now.as_secs(), &mut worker.tokens.borrow_mut());
    let bearer = judged.inspect_err(|why| tracing::debug!(%why, "a request's token is refused"))?;
    rewrite(rules, bearer.as_ref(), head);
    Ok(bearer)
}

fn rewrite(rules: &Authentication, bearer: Option<&Authenticated<'_>>, head: &mut RequestHead) {
    if let Some(bearer) = bearer.filter(|it| !it.forwards_token()) {
        take_out(bearer, head);
    }
    for name in rules.output_headers() {
        head.fields.remove_name(name);
    }
    for (name, value) in bearer.into_iter().flat_map(Authenticated::outputs) {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
}

/// Takes the rule's tokens out of the request.
fn take_out(bearer: &Authenticated<'_>, head: &mut RequestHead) {
    let headers: Vec<&[u8]> = bearer.token_headers(head).collect();
    for name in headers {
        head.fields.remove_name(name);
    }
    if let Some(target) = bearer.without_parameters(head.target()) {
        head.set_target(&target);
    }
    if !head.fields.find_all(Known::Cookie).any(|it| bearer.without_cookies(it).is_some()) {
        return;
    }
    let cookies = head.fields.find_all(Known::Cookie);
    let left: Vec<Vec<u8>> =
        cookies.map(|it| bearer.without_cookies(it).unwrap_or_else(|| it.to_vec())).collect();
    head.fields.remove(Known::Cookie);
    for cookie in left.iter().filter(|it| !it.is_empty()) {
        head.fields.push(b"cookie", cookie);
    }
}

/// Answers a request whose token is refused, in Envoy's words (RFC 6750, section 3).
pub(crate) async fn refuse(call: &mut Call<'_>, why: Refusal) -> Outcome {
    if why == Refusal::Unreadable {
        return respond(call, why.status(), ResponseFlags::NONE, &why.to_string(), &[]).await;
    }
    let challenge = challenge(call.head);
    let extra: [(&[u8], &[u8]); 1] = [(b"www-authenticate", &challenge)];
    respond(call, why.status(), ResponseFlags::NONE, &why.to_string(), &extra).await
}

/// The address that was asked for, as the realm. Its query is left out: a token may stand there.
fn challenge(head: &RequestHead) -> Vec<u8> {
    let path = head.target().split(|byte| *byte == b'?').next().unwrap_or_default();
    let scheme = head.fields.find(Known::ForwardedProto).unwrap_or(b"http");
    let path = &path[..path.len().min(REALM)];
    let uri = [scheme, b"://", head.authority(), path].concat();
    // What would end the quoted text is left out (RFC 9110, section 5.6.4).
    let uri = uri.into_iter().filter(|byte| !matches!(byte, b'"' | b'\\'));
    let mut challenge = b"Bearer realm=\"".to_vec();
    challenge.extend(uri);
    challenge.extend_from_slice(b"\", error=\"invalid_token\"");
    challenge
}

#[cfg(test)]
mod tests;
