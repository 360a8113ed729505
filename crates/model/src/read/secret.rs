//! A `Secret`, as far as TLS takes anything from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::part;
use crate::credentials::Credential;

/// Reads a secret. One without anything for TLS is an empty credential.
pub(super) fn read(resource: &Value) -> Result<Credential, String> {
    let data: BTreeMap<String, String> = part(resource, "data")?;
    let plain: BTreeMap<String, String> = part(resource, "stringData")?;
    let text = |key: &str| -> Result<Option<Arc<str>>, String> {
        if let Some(text) = plain.get(key) {
            return Ok(Some(text.as_str().into()));
        }
        let Some(encoded) = data.get(key) else { return Ok(None) };
        // The reason must not quote what it is about.
        let bytes =
            BASE64_STANDARD.decode(encoded).map_err(|_| format!("data.{key}: no base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("data.{key}: no PEM text"))?;
        Ok(Some(text.into()))
    };
    let first = |keys: [&str; 2]| match text(keys[0])? {
        Some(text) => Ok::<_, String>(Some(text)),
        None => text(keys[1]),
    };
    Ok(Credential {
        certificate: first(["tls.crt", "cert"])?,
        private_key: first(["tls.key", "key"])?,
        ca_certificates: first(["ca.crt", "cacert"])?,
        ca_crl: first(["ca.crl", "crl"])?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_namings_of_keys_are_read_and_no_others() {
        let some = |text: &str| Some(Arc::from(text));
        for (resource, expected) in [
            (
                json!({"data": {"tls.crt": "YQ==", "tls.key": "Yg==", "ca.crt": "Yw==", "ca.crl": "ZA=="}}),
                Credential {
                    certificate: some("a"),
                    private_key: some("b"),
                    ca_certificates: some("c"),
                    ca_crl: some("d"),
                },
            ),
            (
                json!({"data": {"cert": "YQ==", "key": "Yg=="}, "stringData": {"cacert": "c", "crl": "d"}}),
                Credential {
                    certificate: some("a"),
                    private_key: some("b"),
                    ca_certificates: some("c"),
                    ca_crl: some("d"),
                },
            ),
            (
                json!({"data": {"tls.crt": "YQ==", "cert": "Yg=="}}),
                Credential { certificate: some("a"), ..Credential::default() },
            ),
            (json!({"data": {"password": "aHVzaA=="}}), Credential::default()),
            (json!({}), Credential::default()),
        ] {
            assert_eq!(read(&resource), Ok(expected), "{resource}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_without_being_shown() {
        for encoded in ["/w==", "hush"] {
            let error = read(&json!({"data": {"tls.key": encoded, "ca.crt": "?"}})).unwrap_err();
            assert!(
                error.starts_with("data.tls.key: ") || error == "data.ca.crt: no base64",
                "{error}"
            );
            assert!(!error.contains(encoded), "{error}");
        }
    }
}
