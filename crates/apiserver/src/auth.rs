//! Who is asking: the hook that every request but the health checks passes.

use std::fmt;
use std::hint::black_box;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use meltemi_audit::User;

use crate::access_token::Lease;
use crate::status::Failure;

/// The group whose members may do everything, as in Kubernetes.
pub const MASTERS: &str = "system:masters";
/// The group that everybody belongs to who has shown who it is, as in Kubernetes.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";

/// A caller that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name under which it acts.
    pub name: String,
    /// The groups that it belongs to.
    pub groups: Vec<String>,
    /// By what it has shown who it is, for the audit log: never the secret itself.
    pub credential: String,
    /// The access token that has let it in, which may end while what it has begun goes on.
    pub lease: Option<Lease>,
}

impl Principal {
    /// Somebody who may do everything.
    pub fn master(name: &str, credential: &str) -> Self {
        Principal {
            name: name.to_owned(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
            credential: credential.to_owned(),
            lease: None,
        }
    }

    /// A service account: name and groups are Kubernetes'.
    pub(crate) fn service_account(namespace: &str, name: &str, credential: String) -> Self {
        Principal {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                AUTHENTICATED.to_owned(),
            ],
            credential,
            lease: None,
        }
    }

    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// Whether it is the user of the control plane's own machine, by its local token or without one.
    pub(crate) fn is_local(&self) -> bool {
        self.credential.is_empty() || self.credential == LOCAL_TOKEN
    }

    pub(crate) fn user(&self) -> User {
        User {
            username: self.name.clone(),
            groups: self.groups.clone(),
            credential: self.credential.clone(),
        }
    }
}

/// The SPIFFE id of the certificate that the caller's connection has shown; put into a request's extensions by the
/// server that has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The namespace in the id.
    pub namespace: String,
    /// The service account in the id.
    pub service_account: String,
    /// The id as it is written.
    pub id: String,
}

impl ClientCertificate {
    /// The service account that the certificate is of.
    pub(crate) fn principal(&self) -> Principal {
        let credential = format!("certificate of {}", self.id);
        Principal::service_account(&self.namespace, &self.service_account, credential)
    }
}

/// Decides who a caller is from the head of its request, where it has neither an access token nor a certificate.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// The caller, if it may ask at all.
    ///
    /// # Errors
    /// The answer to give: 401 without credentials or with wrong ones, 403 with ones that do not suffice.
    fn authenticate(&self, request: &Parts) -> Result<Principal, Failure>;
}

/// Lets everybody in, and everybody do everything: for tests, and for an API that another gate protects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anyone;

impl Authenticator for Anyone {
    fn authenticate(&self, _: &Parts) -> Result<Principal, Failure> {
        Ok(Principal::master("anonymous", ""))
    }
}

/// The user name under which the token is taken as a password.
const ADMIN: &str = "admin";
/// What the audit log calls that token.
const LOCAL_TOKEN: &str = "local token";

/// Lets in whoever holds the local administrator's token, which stands in `control.json`, as somebody who may do
/// everything.
pub struct AdminToken {
    token: String,
}

impl AdminToken {
    /// The token that callers must send. An empty one lets nobody in.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into() }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

impl Authenticator for AdminToken {
    fn authenticate(&self, request: &Parts) -> Result<Principal, Failure> {
        let Some(given) = credentials(&request.headers) else {
            return Err(Failure::unauthorized(
                "a bearer token is needed: the local one stands in control.json of the state directory",
            ));
        };
        let is_admin = given.user.is_none_or(|user| user == ADMIN);
        if self.token.is_empty() || !is_admin || !same(self.token.as_bytes(), &given.secret) {
            return Err(Failure::unauthorized("the token is not the one of this control plane"));
        }
        Ok(Principal::master(ADMIN, LOCAL_TOKEN))
    }
}

/// What a request shows of its caller.
pub(crate) struct Credentials {
    /// With the scheme `Basic`, the name.
    pub(crate) user: Option<String>,
    /// The token.
    pub(crate) secret: Vec<u8>,
}

/// The token of a request: as a bearer token (RFC 6750), or as a password (RFC 7617). The latter is for kubectl, which
/// sends no bearer token over plain HTTP, but does send the user and password of a server's URL,
/// `http://admin:TOKEN@127.0.0.1:15080`.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let header = headers.get(AUTHORIZATION)?.as_bytes();
    if let Some(secret) = after(header, "Bearer ") {
        return Some(Credentials { user: None, secret: secret.to_vec() });
    }
    let pair = BASE64_STANDARD.decode(after(header, "Basic ")?).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(pair[..colon].to_vec()).ok()?;
    Some(Credentials { user: Some(user), secret: pair[colon + 1..].to_vec() })
}

/// What follows the scheme, whose letter case does not count (RFC 9110, 11.1).
fn after<'a>(header: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (given, rest) = header.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

/// Compares in a time that tells nothing of where the two differ; the length is no secret.
pub(crate) fn same(ours: &[u8], given: &[u8]) -> bool {
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
            // bob:s3cret
            Some("Basic Ym9iOnMzY3JldA=="),
        ];
        for header in refused {
            assert_eq!(ask(header).unwrap_err().code, http::StatusCode::UNAUTHORIZED, "{header:?}");
        }
        assert_eq!(format!("{:?}", AdminToken::new("s3cret")), "AdminToken(..)");
    }
}
