//! Requests of each kind of key, and requests that are refused.

use proptest::prelude::*;

use super::*;
use crate::key;

const ID: &str = "spiffe://cluster.local/ns/default/sa/reviews";

fn pem_of(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der.to_vec()))
}

#[test]
fn a_request_is_read_back_with_its_id() {
    let pem = create(&key::generate().unwrap(), &ID.parse().unwrap()).unwrap();
    let request = Request::from_pem(&pem).unwrap();
    assert_eq!(request.id(), Some(ID.parse().unwrap()));
    assert_eq!(request.names(), [Name::Uri(ID.into())]);
}

#[test]
fn keys_that_istio_clients_use_are_accepted() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let pem = create(&key, &ID.parse().unwrap()).unwrap();
        Request::from_pem(&pem).unwrap();
    }
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let pem = create(&KeyPair::from_pem(&key.serialize_pem()).unwrap(), &ID.parse().unwrap());
    assert!(matches!(Request::from_pem(&pem.unwrap()), Err(CsrError::Key(_))));
}

#[test]
fn a_request_that_was_changed_after_signing_is_refused() {
    let pem = create(&key::generate().unwrap(), &ID.parse().unwrap()).unwrap();
    let mut der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let at = der.windows(7).position(|w| w == b"reviews").unwrap();
    der[at..at + 7].copy_from_slice(b"ratings");
    assert_eq!(Request::from_pem(&pem_of(&der)).unwrap_err(), CsrError::Signature);
}

#[test]
fn what_is_no_request_is_refused() {
    let huge = "x".repeat(MAX_PEM + 1);
    let mut followed = {
        let pem = create(&key::generate().unwrap(), &ID.parse().unwrap()).unwrap();
        CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    };
    followed.push(0);
    assert_eq!(Request::from_pem(&huge).unwrap_err(), CsrError::TooLarge(MAX_PEM + 1));
    for text in ["", "hello", &pem_of(b""), &pem_of(b"\x30\x80"), &pem_of(&followed)] {
        assert!(matches!(Request::from_pem(text), Err(CsrError::Unreadable(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Request::from_pem(&String::from_utf8_lossy(&bytes));
        let _ = Request::from_pem(&pem_of(&bytes));
    }

    #[test]
    fn no_changed_byte_makes_the_reader_panic_or_changes_what_is_asked(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let pem = create(&key::generate().unwrap(), &ID.parse().unwrap()).unwrap();
        let asked = Request::from_pem(&pem).unwrap();
        let mut der =
            CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        let index = at.index(der.len());
        der[index] ^= 1 << bit;
        // A byte outside of what is signed, such as a tag of the outer algorithm, may pass unnoticed.
        if let Ok(read) = Request::from_pem(&pem_of(&der)) {
            prop_assert_eq!(read.names(), asked.names());
            prop_assert_eq!(read.key, asked.key);
        }
    }
}
