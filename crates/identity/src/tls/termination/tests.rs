use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// The files of a certificate that signs itself.
fn pair(dir: &Path) -> (Pem, Pem) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["web".to_owned()]).unwrap().self_signed(&key);
    let (at, key_at) = (dir.join("web.pem"), dir.join("web.key"));
    fs::write(&at, certificate.unwrap().pem()).unwrap();
    fs::write(&key_at, key.serialize_pem()).unwrap();
    (at.into(), key_at.into())
}

fn made(settings: &TerminationSettings) -> Result<Arc<ServerConfig>, String> {
    settings.server_config(&[]).map_err(|error| error.to_string())
}

#[test]
fn what_cannot_be_served_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let whole = TerminationSettings {
        certificates: vec![pair(dir.path())],
        versions: [true, true],
        ..TerminationSettings::default()
    };
    assert!(made(&whole).is_ok());
    let suite = |name: &str| vec![name.to_owned()];
    let other = tempfile::tempdir().unwrap();
    let mixed = (whole.certificates[0].0.clone(), pair(other.path()).1);
    for (settings, part) in [
        (TerminationSettings { certificates: Vec::new(), ..whole.clone() }, "serverCertificate"),
        (TerminationSettings { certificates: vec![mixed], ..whole.clone() }, "does not belong"),
        (TerminationSettings { versions: [false, false], ..whole.clone() }, "minProtocolVersion"),
        (
            TerminationSettings { cipher_suites: suite("AES128-SHA"), ..whole.clone() },
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            TerminationSettings { caller: CallerCertificate::Required, ..whole.clone() },
            "caCertificates",
        ),
    ] {
        let error = made(&settings).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    // Without TLS 1.2 none of its suites is needed.
    let newest = TerminationSettings {
        cipher_suites: suite("AES128-SHA"),
        versions: [false, true],
        ..whole.clone()
    };
    assert!(made(&newest).is_ok());
    let named = TerminationSettings {
        cipher_suites: suite("ECDHE-ECDSA-AES128-GCM-SHA256"),
        ..whole.clone()
    };
    let provider = named.provider().unwrap();
    let is_tls12 = |it: &&SupportedCipherSuite| matches!(it, SupportedCipherSuite::Tls12(_));
    assert_eq!(provider.cipher_suites.iter().filter(is_tls12).count(), 1);
    assert_eq!(whole.files().count(), 2);
}

#[test]
fn fingerprints_of_keys_are_written_in_base64() {
    for (bytes, text) in
        [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
    {
        assert_eq!(base64(bytes), text);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
}
