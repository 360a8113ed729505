//! What a token says of its bearer (RFC 7519, section 4.1).

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::refusal::Refusal;

/// The claims of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    issuer: String,
    audiences: Vec<String>,
    principal: Option<String>,
    pub(super) not_before: u64,
    /// 0 for never, as in Envoy.
    pub(super) expires: u64,
    all: Map<String, Value>,
    encoded: Box<str>,
}

impl Claims {
    /// Reads those that have a meaning here. `encoded` is the part of the token, which is ASCII by then.
    pub(super) fn read(all: Map<String, Value>, encoded: &[u8]) -> Result<Claims, Refusal> {
        let text = |name| match all.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(Refusal::NotText(name)),
        };
        let (issuer, subject) = (text("iss")?, text("sub")?);
        moment(&all, "iat")?;
        let (not_before, expires) = (moment(&all, "nbf")?, moment(&all, "exp")?);
        text("jti")?;
        let is_named = !issuer.is_empty() && !subject.is_empty();
        Ok(Claims {
            issuer: issuer.to_owned(),
            audiences: audiences(all.get("aud"))?,
            principal: is_named.then(|| format!("{issuer}/{subject}")),
            not_before,
            expires,
            encoded: String::from_utf8_lossy(encoded).into(),
            all,
        })
    }

    /// Who issued the token (`iss`); empty where it does not say.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `ISS/SUB`: Istio's `request.auth.principal` and `requestPrincipals`. `None` where one of the two is missing.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// For whom the token is (`aud`): Istio's `request.auth.audiences`.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Who may present the token (`azp`): Istio's `request.auth.presenter`.
    pub fn presenter(&self) -> Option<&str> {
        self.all.get("azp").and_then(Value::as_str)
    }

    /// All claims.
    pub fn all(&self) -> &Map<String, Value> {
        &self.all
    }

    /// The claim at a path, one name for each object on the way: Istio's `request.auth.claims[A][B]`.
    pub fn at<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> Option<&Value> {
        let mut names = path.into_iter();
        let first = self.all.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_object()?.get(name))
    }

    /// Shows the names of all claims that are no objects; of those within objects all names on the way, with `][` between them.
    pub fn each_name(&self, mut show: impl FnMut(&str)) {
        each_name(&self.all, &mut String::new(), &mut show);
    }

    /// The text of a claim for a header: of text, numbers and truth values. The name may lead into objects by dots; a claim
    /// of exactly this name goes before.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.all.get(name).or_else(|| self.at(name.split('.')))?;
        match found {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// All claims as they stand in the token: JSON in base64url without padding.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }
}

fn each_name(claims: &Map<String, Value>, way: &mut String, show: &mut impl FnMut(&str)) {
    let length = way.len();
    for (name, value) in claims {
        match value {
            Value::Object(inner) => {
                way.push_str(name);
                way.push_str("][");
                each_name(inner, way, show);
            }
            _ if length == 0 => show(name),
            _ => {
                way.push_str(name);
                show(way);
            }
        }
        way.truncate(length);
    }
}

/// A moment in seconds since 1970 (RFC 7519's NumericDate, which may have a fraction); 0 where it is not said.
fn moment(all: &Map<String, Value>, name: &'static str) -> Result<u64, Refusal> {
    let number: &Number = match all.get(name) {
        None | Some(Value::Null) => return Ok(0),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(Refusal::NotInteger(name)),
    };
    match (number.as_u64(), number.as_f64()) {
        (Some(moment), _) if moment <= i64::MAX as u64 => Ok(moment),
        (None, Some(moment)) if (0.0..i64::MAX as f64).contains(&moment) => Ok(moment as u64),
        _ => Err(Refusal::OutOfRange(name)),
    }
}

fn audiences(aud: Option<&Value>) -> Result<Vec<String>, Refusal> {
    match aud {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) => {
            many.iter().map(|it| it.as_str().map(str::to_owned).ok_or(Refusal::Aud)).collect()
        }
        Some(_) => Err(Refusal::Aud),
    }
}
