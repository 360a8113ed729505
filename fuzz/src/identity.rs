//! What proves who somebody is: certificates, requests for them, and tokens.

use std::time::{Duration, SystemTime};

use meltemi_identity::csr::{Name, Request};
use meltemi_identity::tls;
use meltemi_identity::token::Issuer;
use meltemi_identity::{SpiffeBundle, TrustBundle};
use meltemi_names::SpiffeId;
use rustls_pki_types::CertificateDer;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A peer's certificate: an identity that is found in it is one that can be written and read again.
pub fn certificate(bytes: &[u8]) {
    let chain = [CertificateDer::from(bytes)];
    let Ok(id) = tls::peer_identity(&chain) else {
        assert!(tls::authenticate(&chain, now()).is_err());
        return;
    };
    assert!(tls::expect(&chain, &id).is_ok());
    assert_eq!(id.to_string().parse(), Ok(id));
}

/// A request for a certificate: an identity that is asked for is the only one.
pub fn signing_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    spiffe_id(text);
    if let Ok(request) = Request::from_pem(text)
        && let Some(id) = request.id()
    {
        let uris = request.names().iter().filter(|name| matches!(name, Name::Uri(_)));
        assert_eq!(uris.collect::<Vec<_>>(), [&Name::Uri(id.to_string())]);
    }
}

/// A join token: nobody makes one without the key.
pub fn join_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(Issuer::new(&[7; 32]).verify(text, now()).is_err(), "a forged token was taken");
}

/// The document of a SPIFFE bundle endpoint: its roots are some, each once, and can be sent on; nobody is asked for it less often
/// than daily.
pub fn spiffe_bundle(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(bundle) = SpiffeBundle::parse(text) else { return };
    assert!(bundle.refresh.is_none_or(|it| (1..=24 * 3600).contains(&it.as_secs())));
    if let Some(roots) = bundle.roots {
        assert!(!roots.roots().is_empty());
        assert_eq!(TrustBundle::from_pem(&roots.to_pem()).ok(), Some(roots));
    }
}

/// A SPIFFE id: one that is read is written as it was.
pub fn spiffe_id(text: &str) {
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.to_string(), text);
    }
}
