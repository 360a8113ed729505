use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;

use super::*;

/// An authority whose files lie in a directory.
struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { dir, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A leaf for `example.com` and a URI.
    fn leaf(&self, serial: u64) -> (CertificateDer<'static>, String, String) {
        let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        let uri = "spiffe://other/ns/a/sa/b".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        params.serial_number = Some(SerialNumber::from(serial));
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.der().clone(), signed.pem(), key.serialize_pem())
    }

    /// Takes a certificate back.
    fn revoke(&self, serial: u64) -> PathBuf {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.path("crl.pem");
        fs::write(&path, params.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }

    fn settings(&self) -> OriginationSettings {
        let ca_certificates = Some(self.path("ca.pem").into());
        OriginationSettings { ca_certificates, ..OriginationSettings::default() }
    }
}

fn check(
    settings: &OriginationSettings,
    leaf: &CertificateDer<'_>,
    name: &str,
) -> Result<(), String> {
    let verifier = settings.verifier().unwrap();
    let (name, now) = (ServerName::try_from(name).unwrap(), Duration::from_secs(1_800_000_000));
    let now = UnixTime::since_unix_epoch(now);
    let verified = verifier.verify_server_cert(leaf, &[], &name, &[], now);
    verified.map(drop).map_err(|error| error.to_string())
}

/// As `openssl x509 -req` makes them without -extfile: version 1 of X.509.
const V1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUbSJ8oehWR+YdY7UKeBxOq5Ayu1YwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTI4MjI0OTI3WhgPMjEyNjExMDQyMjQ5MjdaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVKKWb53+zsaaXBrI
QLr7pxh2mjAWCYat87gcMoAUKsQ2JS15Hn4XQtYZzAHZpXWmccuqdQSjU4Fh1sa1
lsVg+jAKBggqhkjOPQQDAgNIADBFAiAYEJHiCioHTyGissya/aIMsbZS3Z9w5/d1
39lPUbgATgIhAOG9ha27YhCtR9UsG4GxGdwyj+gpHhjwXoCUqfFIJLBQ
-----END CERTIFICATE-----
";
/// Its key.
const V1_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDLI1kxMURFogBCb3
Hba0/3LVjI3g0wJWdBHJRz8JJn6hRANCAARUopZvnf7OxppcGshAuvunGHaaMBYJ
hq3zuBwygBQqxDYlLXkefhdC1hnMAdmldaZxy6p1BKNTgWHWxrWWxWD6
-----END PRIVATE KEY-----
";

#[test]
fn a_server_must_bear_the_name_asked_for_or_one_of_those_listed() {
    let authority = Authority::new();
    let (leaf, ..) = authority.leaf(7);
    let settings = authority.settings();
    check(&settings, &leaf, "example.com").unwrap();
    check(&settings, &leaf, "example.org").unwrap_err();
    for (names, asked, is_fine) in [
        (vec!["example.com"], "example.org", true),
        (vec!["other.com", "spiffe://other/ns/a/sa/b"], "example.org", true),
        (vec!["other.com", "spiffe://other/ns/a/sa/c"], "example.com", false),
    ] {
        let subject_alt_names = names.iter().map(ToString::to_string).collect();
        let settings = OriginationSettings { subject_alt_names, ..settings.clone() };
        let checked = check(&settings, &leaf, asked);
        assert_eq!(checked.is_ok(), is_fine, "{names:?} {asked}: {checked:?}");
        if let Err(error) = checked {
            assert!(error.contains("bears none of the names other.com, spiffe:"), "{error}");
        }
    }
}

#[test]
fn a_server_of_another_authority_is_refused_unless_nothing_is_checked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (leaf, ..) = other.leaf(7);
    let mut settings = authority.settings();
    check(&settings, &leaf, "example.com").unwrap_err();
    settings.subject_alt_names = vec!["example.com".into()];
    check(&settings, &leaf, "example.com").unwrap_err();
    settings.insecure_skip_verify = true;
    check(&settings, &leaf, "example.org").unwrap();
}

#[test]
fn a_self_signed_certificate_is_believed_where_it_is_given_itself() {
    // As `openssl req -x509` makes them: a CA by its own word.
    let own = |usages: Vec<ExtendedKeyUsagePurpose>, until| {
        let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = usages;
        params.not_after = date_time_ymd(until, 1, 1);
        let signed = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        (signed.der().clone(), signed.pem())
    };
    let dir = tempfile::tempdir().unwrap();
    let given = |pem: &str| {
        let path = dir.path().join("server.pem");
        fs::write(&path, pem).unwrap();
        OriginationSettings { ca_certificates: Some(path.into()), ..OriginationSettings::default() }
    };
    let (leaf, pem) = own(Vec::new(), 2090);
    let settings = given(&pem);
    check(&settings, &leaf, "example.com").unwrap();
    check(&settings, &leaf, "example.org").unwrap_err();
    let named =
        OriginationSettings { subject_alt_names: vec!["example.com".into()], ..settings.clone() };
    check(&named, &leaf, "example.org").unwrap();
    // The same name by another key.
    check(&settings, &own(Vec::new(), 2090).0, "example.com").unwrap_err();
    let (leaf, pem) = own(Vec::new(), 2001);
    assert!(check(&given(&pem), &leaf, "example.com").unwrap_err().contains("xpired"));
    let (leaf, pem) = own(vec![ExtendedKeyUsagePurpose::ClientAuth], 2090);
    assert!(check(&given(&pem), &leaf, "example.com").unwrap_err().contains("may not serve"));
    let (leaf, pem) = own(vec![ExtendedKeyUsagePurpose::ServerAuth], 2090);
    check(&given(&pem), &leaf, "example.com").unwrap();
}

#[test]
fn a_certificate_that_was_taken_back_is_refused() {
    let authority = Authority::new();
    let ca_crl = Some(authority.revoke(7).into());
    let settings = OriginationSettings { ca_crl, ..authority.settings() };
    check(&settings, &authority.leaf(8).0, "example.com").unwrap();
    let error = check(&settings, &authority.leaf(7).0, "example.com").unwrap_err();
    assert!(error.contains("Revoked"), "{error}");
}

#[test]
fn wrong_files_are_named() {
    let authority = Authority::new();
    let (_, pem, key) = authority.leaf(1);
    let (_, _, other_key) = authority.leaf(2);
    for (name, text) in [("cert.pem", &pem), ("key.pem", &key), ("other.pem", &other_key)] {
        fs::write(authority.path(name), text).unwrap();
    }
    fs::write(authority.path("junk"), "junk").unwrap();
    let pem = |name: &str| Pem::from(authority.path(name));
    let path = |name: &str| Some(pem(name));
    let pair = |certificate, key| Some((pem(certificate), pem(key)));
    let mut fine = authority.settings();
    fine.client_certificate = pair("cert.pem", "key.pem");
    assert_eq!(fine.files().count(), 3);
    assert_eq!(fine.client_configs(&[vec![b"h2".to_vec()], vec![]]).unwrap().len(), 2);
    for (settings, expected) in [
        (OriginationSettings { ca_certificates: path("none.pem"), ..fine.clone() }, "none.pem"),
        (OriginationSettings { ca_certificates: path("junk"), ..fine.clone() }, "junk holds no"),
        (OriginationSettings { ca_crl: path("ca.pem"), ..fine.clone() }, "ca.pem holds no"),
        (
            OriginationSettings {
                client_certificate: pair("cert.pem", "cert.pem"),
                ..fine.clone()
            },
            "cert.pem holds no private key",
        ),
        (
            OriginationSettings {
                client_certificate: pair("cert.pem", "other.pem"),
                ..fine.clone()
            },
            "does not belong to the certificate in",
        ),
        (
            OriginationSettings {
                client_certificate: Some((
                    Pem::Text { name: "tls.crt".into(), text: V1.into() },
                    { Pem::Text { name: "tls.key".into(), text: V1_KEY.into() } },
                )),
                ..fine.clone()
            },
            "the certificate in tls.crt cannot be used: it is not of version 3",
        ),
    ] {
        let error = settings.client_configs(&[vec![]]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: {expected}");
    }
}

#[test]
fn texts_serve_as_files_do_and_are_never_shown() {
    let authority = Authority::new();
    let (leaf, certificate, key) = authority.leaf(1);
    let text = |name: &str, text: &str| Pem::Text { name: name.into(), text: text.into() };
    let ca = fs::read_to_string(authority.path("ca.pem")).unwrap();
    let settings = OriginationSettings {
        client_certificate: Some((text("tls.crt", &certificate), text("tls.key", &key))),
        ca_certificates: Some(text("ca.crt", &ca)),
        ..OriginationSettings::default()
    };
    check(&settings, &leaf, "example.com").unwrap();
    assert_eq!(settings.client_configs(&[vec![]]).unwrap().len(), 1);
    assert_eq!(settings.files().count(), 0);
    let shown = format!("{settings:?}");
    assert!(shown.contains("tls.key") && !shown.contains("BEGIN"), "{shown}");

    let wrong = Some((text("tls.crt", &certificate), text("tls.key", "junk")));
    let settings = OriginationSettings { client_certificate: wrong, ..settings };
    let error = settings.client_configs(&[vec![]]).unwrap_err().to_string();
    assert!(error.contains("tls.key holds no private key"), "{error}");
}
