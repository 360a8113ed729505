//! Tokens of end users and the keys that verify them.

use meltemi_policy::jwt::{KeySet, MAX_TOKEN, Token};

/// A token. What is read of it has an issuer, and is not longer than one may be.
pub fn jwt(bytes: &[u8]) {
    if let Ok(token) = Token::parse(bytes) {
        assert!(bytes.len() <= MAX_TOKEN);
        let claims = token.claims();
        assert!(claims.principal().is_none_or(|it| it.starts_with(claims.issuer())));
        drop(claims.text("exp"));
    }
}

/// A key set. Its public part has the same keys, and no private ones.
pub fn jwks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = KeySet::parse(text);
    if let Ok(public) = KeySet::public_part(text) {
        assert_eq!(KeySet::parse(&public).is_ok(), read.is_ok());
        for private in ["\"d\":", "\"p\":", "\"q\":", "\"k\":"] {
            assert!(!public.contains(private), "{public}");
        }
    }
}
