//! Who is asking: the hook that every request but the health checks passes.

use std::fmt;
use std::hint::black_box;

use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::base64;
use crate::status::Failure;

/// A caller that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name under which it acts.
    pub name: String,
}

/// Decides who a caller is from the head of its request.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// The caller, if it may ask at all.
    ///
    /// # Errors
    /// The answer to give: 401 without credentials or with wrong ones, 403 with ones that do not suffice.
    fn authenticate(&self, request: &Parts) -> Result<Principal, Failure>;
}

/// Lets everybody in: for tests, and for an API that another gate protects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anyone;

impl Authenticator for Anyone {
    fn authenticate(&self, _: &Parts) -> Result<Principal, Failure> {
        Ok(Principal { name: "anonymous".to_owned() })
    }
}

/// The user name under which the token is taken as a password.
const ADMIN: &str = "admin";

/// Lets in whoever holds the local administrator's token, which stands in `control.json`: as a bearer token, or
/// as the password of the user `admin` (RFC 7617). The latter is for kubectl, which sends no bearer token over plain
/// HTTP, but does send the user and password of a server's URL, `http://admin:TOKEN@127.0.0.1:15080`.
pub struct AdminToken {
    token: String,
    /// The token as it stands after `Basic `.
    basic: String,
}

impl AdminToken {
    /// The token that callers must send. An empty one lets nobody in.
    pub fn new(token: impl Into<String>) -> Self {
        let token = token.into();
        Self { basic: base64::encode(format!("{ADMIN}:{token}").as_bytes()), token }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

impl Authenticator for AdminToken {
    fn authenticate(&self, request: &Parts) -> Result<Principal, Failure> {
        let header = request.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let credentials = header.and_then(|header| {
            let bearer = after(header, "Bearer ").map(|given| (given, &self.token));
            bearer.or_else(|| after(header, "Basic ").map(|given| (given, &self.basic)))
        });
        let Some((given, wanted)) = credentials else {
            return Err(Failure::unauthorized(
                "a bearer token is needed: the local one stands in control.json of the state directory",
            ));
        };
        if self.token.is_empty() || !same(wanted.as_bytes(), given) {
            return Err(Failure::unauthorized("the token is not the one of this control plane"));
        }
        Ok(Principal { name: ADMIN.to_owned() })
    }
}

/// What follows the scheme, whose letter case does not count (RFC 9110, 11.1).
fn after<'a>(header: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (given, rest) = header.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

/// Compares in a time that tells nothing of where the two differ; the length is no secret.
fn same(ours: &[u8], given: &[u8]) -> bool {
    if ours.len() != given.len() {
        return false;
    }
    let difference =
        ours.iter().zip(given).fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(header: Option<&str>) -> Result<Principal, Failure> {
        let mut request = http::Request::new(());
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, header.parse().unwrap());
        }
        AdminToken::new("s3cret").authenticate(&request.into_parts().0)
    }

    #[test]
    fn only_the_token_lets_in() {
        assert_eq!(ask(Some("Bearer s3cret")).unwrap().name, "admin");
        assert_eq!(ask(Some("bearer  s3cret ")).unwrap().name, "admin");
        assert_eq!(ask(Some("Basic YWRtaW46czNjcmV0")).unwrap().name, "admin");
        let refused = [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer s3cre"),
            Some("Bearer s3creT"),
            Some("Basic s3cret"),
            Some("Basic czNjcmV0"),
        ];
        for header in refused {
            assert_eq!(ask(header).unwrap_err().code, http::StatusCode::UNAUTHORIZED, "{header:?}");
        }
        assert_eq!(format!("{:?}", AdminToken::new("s3cret")), "AdminToken(..)");
    }
}
