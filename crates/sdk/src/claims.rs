//! What a join token says of itself, read without its key: which workload its holder may be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The workload that a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) service_account: String,
}

/// Reads a token; `None` where it is none, or is for no one workload. The control plane judges it anyway.
pub(crate) fn read(token: &str) -> Option<Claims> {
    let payload = token.trim().split('.').nth(1)?;
    let json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let text = |name: &str| json[name].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    Some(Claims {
        namespace: text("meltemi.io/namespace")?,
        service_account: text("meltemi.io/service-account")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use meltemi_identity::token::{Issuer, Uses};

    use super::*;

    #[test]
    fn a_token_says_whom_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = Issuer::open_or_create(&dir.path().join("key")).unwrap();
        let token = issuer
            .issue("shop", "web", Uses::Many, Duration::from_secs(60), SystemTime::now())
            .unwrap();
        let expected = Claims { namespace: "shop".into(), service_account: "web".into() };
        assert_eq!(read(&token), Some(expected));
        for other in ["", "a.b.c", "a.e30.c", "\n"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
