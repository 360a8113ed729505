//! Who gets a certificate, and who does not.

use std::time::{Duration, SystemTime};

use meltemi_identity::token::{Issuer, Uses};
use meltemi_identity::{csr, key, tls};
use meltemi_wire::certificate::{CertificateError, create_certificate};
use meltemi_wire::transport::plaintext_channel;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::Code;

use crate::mesh::{Mesh, workload_id};

/// Asks for a certificate of `asked` with a token; the id in it, or why there is none.
async fn ask(mesh: &Mesh, token: Option<&str>, asked: &str) -> Result<String, Code> {
    let key = key::generate().unwrap();
    let csr = csr::create(&key, &workload_id(asked)).unwrap();
    match create_certificate(mesh.stranger(), token, csr, Duration::ZERO).await {
        Ok(chain) => {
            let leaf = CertificateDer::from_pem_slice(chain[0].as_bytes()).unwrap();
            Ok(tls::peer_identity(&[leaf]).unwrap().to_string())
        }
        Err(CertificateError::Refused(status)) => Err(status.code()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_own_account_and_its_own_time() {
    let mesh = Mesh::start().await;
    let token = mesh.token("reviews");
    let reviews = workload_id("reviews").to_string();
    assert_eq!(ask(&mesh, Some(&token), "reviews").await, Ok(reviews));

    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{head}.{flipped}{}", &signature[1..]);
    let issuer = Issuer::open_or_create(&mesh.state_dir().join("token.key")).unwrap();
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let expired = issuer
        .issue("default", "reviews", Uses::Many, Duration::from_secs(60), an_hour_ago)
        .unwrap();
    let foreign = Issuer::new(&[7; 32])
        .issue("default", "reviews", Uses::Many, Duration::from_secs(60), SystemTime::now())
        .unwrap();
    for (what, token, asked, code) in [
        ("another account's", Some(&*token), "ratings", Code::PermissionDenied),
        ("tampered", Some(&*tampered), "reviews", Code::Unauthenticated),
        ("expired", Some(&*expired), "reviews", Code::Unauthenticated),
        ("of another control plane", Some(&*foreign), "reviews", Code::Unauthenticated),
        ("no token", Some("x"), "reviews", Code::Unauthenticated),
        ("none", None, "reviews", Code::Unauthenticated),
    ] {
        assert_eq!(ask(&mesh, token, asked).await, Err(code), "{what}");
    }
}

#[tokio::test]
async fn a_ca_given_by_files_signs() {
    let other = Mesh::start().await;
    let cacerts = other.state_dir().join("ca");
    let mesh = Mesh::start_with(|options| options.cacerts = Some(cacerts)).await;
    assert_eq!(mesh.bundle(), other.bundle());
    assert!(!mesh.state_dir().join("ca").exists(), "none of its own is made");
    mesh.member("reviews").await.subscribe("reviews").connected(true).await;
}

#[tokio::test]
async fn the_plaintext_port_signs_nothing() {
    let mesh = Mesh::start().await;
    let xds = mesh.plane.addresses().xds.unwrap().to_string().parse().unwrap();
    let csr = csr::create(&key::generate().unwrap(), &workload_id("reviews")).unwrap();
    let token = mesh.token("reviews");
    let channel = plaintext_channel(&xds);
    match create_certificate(channel, Some(&token), csr, Duration::ZERO).await {
        Err(CertificateError::Refused(status)) => assert_eq!(status.code(), Code::Unimplemented),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_member_renews_its_own_certificate_and_no_other() {
    let mesh = Mesh::start().await;
    let member = mesh.member("reviews").await;
    for (asked, granted) in [("reviews", true), ("ratings", false)] {
        let key = key::generate().unwrap();
        let csr = csr::create(&key, &workload_id(asked)).unwrap();
        let outcome = create_certificate(member.channel(), None, csr, Duration::ZERO).await;
        assert_eq!(outcome.is_ok(), granted, "{asked}");
    }
}
