//! A trust bundle in SPIFFE's own form: a set of JSON Web Keys (SPIFFE Trust Domain and Bundle, section 4).

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::Value;

use super::{BundleError, TrustBundle};

/// The longest that a publisher can have its bundle used before it is asked again: one that says more is asked daily.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3600);

/// What a bundle endpoint says of its trust domain, as far as X.509 is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeBundle {
    /// The roots; `None` where the trust domain has taken all of its keys back.
    pub roots: Option<TrustBundle>,
    /// How often the publisher wants to be asked (`spiffe_refresh_hint`).
    pub refresh: Option<Duration>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
    #[serde(default)]
    spiffe_refresh_hint: Option<u64>,
}

impl SpiffeBundle {
    /// Reads the document. Keys for other uses are passed over, and so are those of X.509 that do not hold exactly one
    /// certificate in `x5c` (X.509-SVID, section 6.2).
    ///
    /// # Errors
    /// When it is no such document, or a certificate in it cannot be a root.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| BundleError::Spiffe(error.to_string()))?;
        let mut roots = Vec::new();
        for key in document.keys.iter().filter(|key| key["use"] == "x509-svid") {
            let Some([Value::String(one)]) = key["x5c"].as_array().map(Vec::as_slice) else {
                continue;
            };
            roots.push(certificate(one)?);
        }
        let hint = document.spiffe_refresh_hint.filter(|seconds| *seconds > 0);
        Ok(SpiffeBundle {
            roots: if roots.is_empty() { None } else { Some(TrustBundle::new(roots)?) },
            refresh: hint.map(|seconds| Duration::from_secs(seconds).min(LONGEST_HINT)),
        })
    }
}

/// `x5c` is base64 with its padding and the signs `+` and `/` (RFC 7517, section 4.7), as in PEM.
fn certificate(base64: &str) -> Result<CertificateDer<'static>, BundleError> {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let read = pem::parse(pem).map_err(|error| BundleError::Spiffe(format!("x5c: {error}")))?;
    Ok(CertificateDer::from(read.into_contents()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;

    use super::*;
    use crate::ca::Authority;

    fn root() -> TrustBundle {
        let dir = tempfile::tempdir().unwrap();
        let domain = "b.example".parse().unwrap();
        Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap().bundle()
    }

    fn x5c(bundle: &TrustBundle) -> String {
        let pem = bundle.to_pem();
        pem.lines().filter(|line| !line.starts_with("-----")).collect()
    }

    #[test]
    fn roots_are_the_keys_of_x509_with_one_certificate() {
        let [first, second] = [root(), root()];
        let key = |usage: &str, certificates: &[&str]| json!({"kty": "EC", "use": usage, "x5c": certificates});
        let (one, two) = (x5c(&first), x5c(&second));
        let document = json!({
            "spiffe_sequence": 7,
            "spiffe_refresh_hint": 300,
            "keys": [
                key("x509-svid", &[&one]),
                key("jwt-svid", &["no certificate"]),
                key("x509-svid", &[&one, &two]),
                key("x509-svid", &[]),
                {"kty": "EC", "x5c": [two.clone()]},
                key("x509-svid", &[&two]),
            ],
        });
        let bundle = SpiffeBundle::parse(&document.to_string()).unwrap();
        assert_eq!(bundle.roots, Some(first.with(&second).unwrap()));
        assert_eq!(bundle.refresh, Some(Duration::from_secs(300)));
        let none = SpiffeBundle::parse(r#"{"keys":[],"spiffe_refresh_hint":0}"#).unwrap();
        assert_eq!(none, SpiffeBundle { roots: None, refresh: None });
        let rare = r#"{"keys":[],"spiffe_refresh_hint":18446744073709551615}"#;
        assert_eq!(SpiffeBundle::parse(rare).unwrap().refresh, Some(LONGEST_HINT));
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for (text, part) in [
            ("", "no SPIFFE bundle"),
            ("{}", "keys"),
            ("[]", "no SPIFFE bundle"),
            (r#"{"keys":[{"use":"x509-svid","x5c":["!"]}]}"#, "x5c"),
            (r#"{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}"#, "cannot be used as a root"),
        ] {
            let error = SpiffeBundle::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
