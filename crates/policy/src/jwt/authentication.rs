//! All rules of a workload, compiled, and what they say of a request.

use std::borrow::Cow;
use std::sync::Arc;

use meltemi_names::{is_framing_header, is_header_name};
use serde_json::Value;

use super::claims::Claims;
use super::key_set::KeySet;
use super::memory::{Fingerprint, Known, MAX_KEPT, Memory, fingerprint};
use super::places::{Places, Request};
use super::refusal::Refusal;
use super::rule::{JwtRule, RequestAuthentication};
use super::token::Token;

/// How far clocks may differ, seconds (Envoy's default of `clock_skew_seconds`).
const CLOCK_SKEW: u64 = 60;
/// Claims whose text is always a list parted by spaces (Istio's reference, `spaceDelimitedClaims`).
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// The rules of all `RequestAuthentication`s of a workload: they add up.
#[derive(Debug)]
pub struct Authentication {
    id: u64,
    sources: Vec<RequestAuthentication>,
    rules: Vec<Rule>,
    /// Headers that only we write, each once.
    outputs: Vec<Box<[u8]>>,
    /// Why every request is refused.
    closed: Option<Box<str>>,
}

impl PartialEq for Authentication {
    fn eq(&self, other: &Self) -> bool {
        (&self.sources, &self.closed) == (&other.sources, &other.closed)
    }
}

impl Eq for Authentication {}

#[derive(Debug)]
struct Rule {
    issuer: String,
    audiences: Vec<String>,
    keys: Result<KeySet, Refusal>,
    places: Places,
    forwards_token: bool,
    payload_header: String,
    /// Header and claim.
    claim_headers: Vec<(String, String)>,
    space_delimited: Vec<String>,
}

/// Who bears a token that was verified.
#[derive(Debug, Clone)]
pub struct Authenticated<'a> {
    rule: &'a Rule,
    claims: Arc<Claims>,
}

/// What the token that was looked at last says: several rules may take tokens from one place.
type Last = Option<(Fingerprint, Result<Arc<Claims>, Refusal>)>;

impl Authentication {
    /// Compiles the rules of all objects. `id` tells this configuration from every other one in a [`Memory`].
    pub fn compile(id: u64, sources: Vec<RequestAuthentication>) -> Authentication {
        let all = sources.iter().flat_map(|source| &source.jwt_rules);
        let mut rules: Vec<Rule> = all.map(Rule::compile).collect();
        // Of several rules that would take a request the first by issuer does, as in Istio.
        rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        let mut outputs: Vec<Box<[u8]>> = rules.iter().flat_map(Rule::output_headers).collect();
        outputs.sort_unstable();
        outputs.dedup();
        Authentication { id, sources, rules, outputs, closed: None }
    }

    /// Rules that cannot be read: every request is refused, as nobody knows where its tokens stand.
    pub fn closed(id: u64, reason: &str) -> Authentication {
        Authentication { closed: Some(reason.into()), ..Authentication::compile(id, Vec::new()) }
    }

    /// Why every request is refused; `None` where that depends on its token.
    pub fn closed_because(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// Each rule's issuer, and how many keys it has or why there are none: its tokens are all refused then.
    pub fn issuers(&self) -> impl Iterator<Item = (&str, Result<usize, Refusal>)> {
        let keys = |rule: &Rule| rule.keys.as_ref().map(KeySet::len).map_err(|why| *why);
        self.rules.iter().map(move |rule| (rule.issuer.as_str(), keys(rule)))
    }

    /// What it was compiled of.
    pub fn sources(&self) -> &[RequestAuthentication] {
        &self.sources
    }

    /// Headers that tell the application of claims: what a caller sends of them is to be dropped. In lower case.
    pub fn output_headers(&self) -> impl Iterator<Item = &[u8]> {
        self.outputs.iter().map(|name| &**name)
    }

    /// Says who bears the request's token; `None` where it has none. `now` is in seconds since 1970.
    ///
    /// A request passes if all tokens in the places of one rule are that rule's, or if no place of any rule has a token:
    /// what Istio makes Envoy ask for (`convertToEnvoyJwtConfig`). CORS preflights, which have no token by their nature,
    /// are not looked at.
    ///
    /// # Errors
    /// Why no rule takes its tokens.
    pub fn judge(
        &self,
        request: &impl Request,
        now: u64,
        memory: &mut Memory,
    ) -> Result<Option<Authenticated<'_>>, Refusal> {
        if self.closed.is_some() {
            return Err(Refusal::Unreadable);
        }
        if is_preflight(request) {
            return Ok(None);
        }
        let (mut refusal, mut last) = (None, None);
        for (at, rule) in self.rules.iter().enumerate() {
            let mut claims = None;
            let visited = rule.places.visit(request, &mut |token| {
                let verified = self.verify(at, token, now, memory, &mut last)?;
                claims.get_or_insert(verified);
                Ok(())
            });
            match (visited, claims) {
                (Ok(()), Some(claims)) => return Ok(Some(Authenticated { rule, claims })),
                (Ok(()), None) => {}
                (Err(why), _) => refusal = Some(why.or(refusal)),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    /// Verifies a token by a rule: the cheap questions first.
    fn verify(
        &self,
        at: usize,
        text: &[u8],
        now: u64,
        memory: &mut Memory,
        last: &mut Last,
    ) -> Result<Arc<Claims>, Refusal> {
        let (rule, fingerprint) = (&self.rules[at], fingerprint(text));
        let key = (self.id, fingerprint);
        if let Some(known) = memory.find(&key) {
            let claims = known.claims.clone();
            if known.rule != at {
                rule.check(&claims, now)?;
            } else if let Err(why) = check_time(&claims, now) {
                memory.forget(&key);
                return Err(why);
            } else {
                // Its signature and its audience are what they were.
                return Ok(claims);
            }
        }
        if let Some((_, said)) = last.as_ref().filter(|(seen, _)| *seen == fingerprint) {
            rule.check(said.as_ref().map_err(|why| *why)?, now)?;
        }
        let token = Token::parse(text);
        *last = Some((fingerprint, token.as_ref().map(|it| it.claims().clone()).map_err(|it| *it)));
        let token = token?;
        rule.check(token.claims(), now)?;
        rule.keys.as_ref().map_err(|why| *why)?.verify(&token)?;
        let claims = token.claims().clone();
        if text.len() <= MAX_KEPT {
            memory.keep(key, Known { rule: at, claims: claims.clone() });
        }
        Ok(claims)
    }
}

impl Rule {
    fn compile(rule: &JwtRule) -> Rule {
        let keys = match &rule.jwks {
            Some(text) => KeySet::parse(text).map_err(|_| Refusal::NoValidKeys),
            None => Err(Refusal::NoKeys),
        };
        let claim_headers = rule.output_claim_to_headers.iter();
        Rule {
            issuer: rule.issuer.clone(),
            audiences: rule.audiences.iter().map(|it| bare(it).to_owned()).collect(),
            keys,
            places: Places::of(rule),
            forwards_token: rule.forward_original_token,
            payload_header: output(&rule.output_payload_to_header).unwrap_or_default(),
            claim_headers: claim_headers
                .filter_map(|it| Some((output(&it.header)?, it.claim.clone())))
                .collect(),
            space_delimited: rule.space_delimited_claims.clone(),
        }
    }

    fn output_headers(&self) -> impl Iterator<Item = Box<[u8]>> {
        let payload = Some(&self.payload_header).filter(|name| !name.is_empty());
        let claims = self.claim_headers.iter().map(|(name, _)| name);
        claims.chain(payload).map(|name| name.as_bytes().into())
    }

    fn check(&self, claims: &Claims, now: u64) -> Result<(), Refusal> {
        if claims.issuer() != self.issuer {
            return Err(Refusal::UnknownIssuer);
        }
        check_time(claims, now)?;
        let is_meant = |it: &String| self.audiences.iter().any(|own| own == bare(it));
        match self.audiences.is_empty() || claims.audiences().iter().any(is_meant) {
            true => Ok(()),
            false => Err(Refusal::Audience),
        }
    }
}

impl<'a> Authenticated<'a> {
    /// What the token says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The texts of a claim, for Istio's `request.auth.claims[A][B]`: one of a text, all of a list of texts, and the words
    /// of a claim whose text is a list parted by spaces. None of a claim of another type.
    pub fn values<'s, 'n>(
        &'s self,
        path: impl IntoIterator<Item = &'n str, IntoIter: Clone>,
    ) -> impl Iterator<Item = &'s str> {
        let path = path.into_iter();
        let mut names = path.clone();
        let is_list = names.next().is_some_and(|name| self.is_space_delimited(name))
            && names.next().is_none();
        let (one, many) = match self.claims.at(path) {
            Some(Value::String(text)) => (Some(text.as_str()), None),
            Some(Value::Array(values)) => (None, Some(values)),
            _ => (None, None),
        };
        let words = one.filter(|_| is_list).into_iter().flat_map(str::split_ascii_whitespace);
        let whole = one.filter(|_| !is_list);
        let items = many.into_iter().flatten().filter_map(Value::as_str);
        words.chain(whole).chain(items)
    }

    fn is_space_delimited(&self, name: &str) -> bool {
        SPACE_DELIMITED.contains(&name) || self.rule.space_delimited.iter().any(|it| it == name)
    }

    /// The headers by which the application is told of claims. What a header cannot hold is left out.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let payload = Some(self.rule.payload_header.as_str()).filter(|name| !name.is_empty());
        let payload = payload.map(|name| (name, Cow::Borrowed(self.claims.encoded())));
        let claims = self.rule.claim_headers.iter().filter_map(|(header, claim)| {
            let text = self.claims.text(claim).filter(|text| is_field_value(text))?;
            Some((header.as_str(), text))
        });
        payload.into_iter().chain(claims)
    }

    /// Whether the token goes on to the application.
    pub fn forwards_token(&self) -> bool {
        self.rule.forwards_token
    }

    /// The headers in which this request has a token of the rule.
    pub fn token_headers(&self, request: &impl Request) -> impl Iterator<Item = &'a [u8]> {
        self.rule.places.token_headers(request)
    }

    /// What the target is without tokens; `None` if it has none.
    pub fn without_parameters(&self, target: &[u8]) -> Option<Vec<u8>> {
        self.rule.places.without_parameters(target)
    }

    /// What a `cookie` field is without tokens, perhaps nothing; `None` if it has none.
    pub fn without_cookies(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.rule.places.without_cookies(value)
    }
}

/// A question of a browser before the request itself (Fetch, section 3.2.2), as Envoy tells it.
fn is_preflight(request: &impl Request) -> bool {
    let has = |name: &[u8]| {
        request.fields().any(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_empty())
    };
    request.method() == b"OPTIONS" && has(b"origin") && has(b"access-control-request-method")
}

/// A header for claims, in lower case. None that says where a request goes or ends.
fn output(name: &str) -> Option<String> {
    let is_good = is_header_name(name) && !is_framing_header(name);
    is_good.then(|| name.to_ascii_lowercase())
}

/// Whether the token's time has come and is not over.
fn check_time(claims: &Claims, now: u64) -> Result<(), Refusal> {
    if now.saturating_add(CLOCK_SKEW) < claims.not_before {
        return Err(Refusal::NotYetValid);
    }
    match claims.expires > 0 && now > claims.expires.saturating_add(CLOCK_SKEW) {
        true => Err(Refusal::Expired),
        false => Ok(()),
    }
}

/// An audience as they are compared: without its scheme and a last slash (Envoy's `CheckAudience`).
fn bare(audience: &str) -> &str {
    let schemes = ["http://", "https://"].into_iter();
    let rest =
        schemes.filter_map(|scheme| audience.strip_prefix(scheme)).next().unwrap_or(audience);
    rest.strip_suffix('/').unwrap_or(rest)
}

/// Whether a claim can be a header's value: not empty, and nothing in it that ends the field (RFC 9110, section 5.5).
fn is_field_value(text: &str) -> bool {
    let is_visible = |byte: u8| byte >= b' ' && byte != 0x7f;
    !text.is_empty() && text.trim_ascii().len() == text.len() && text.bytes().all(is_visible)
}
