//! Verifies servers outside of the mesh: their chain, and their names where a rule lists them.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The certificate bears none of the names that a rule lists.
#[derive(thiserror::Error)]
#[error("the server's certificate bears none of the names {}", .0.join(", "))]
struct NoSuchName(Vec<String>);

impl fmt::Debug for NoSuchName {
    /// rustls shows errors of others in this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate that is trusted itself, and cannot be a server's now.
#[derive(thiserror::Error)]
#[error(
    "the server's certificate is one of the `caCertificates` themselves, and may not serve: its extended key usage is another"
)]
struct NotForServers;

impl fmt::Debug for NotForServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Verifies the chain, and that the certificate bears the name that is asked for, or one of those that a rule lists instead.
///
/// A server whose certificate is itself one of the authorities that a rule gives is believed too, as Envoy does it: self-signed
/// certificates of development and appliances say that they are a CA (`openssl req -x509`), which a chain's end may not.
#[derive(Debug)]
pub(super) struct OutsideVerifier {
    chain: Arc<WebPkiServerVerifier>,
    /// Certificates that are trusted by themselves.
    given: Vec<CertificateDer<'static>>,
    names: Vec<String>,
}

impl OutsideVerifier {
    pub(super) fn new(
        chain: Arc<WebPkiServerVerifier>,
        given: Vec<CertificateDer<'static>>,
        names: Vec<String>,
    ) -> OutsideVerifier {
        OutsideVerifier { chain, given, names }
    }

    /// Checks what no chain is needed for: that it is valid now, and may serve.
    fn check_alone(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| bad())?;
        let now = i64::try_from(now.as_secs()).map_err(|_| bad())?;
        let validity = certificate.validity();
        if now < validity.not_before.timestamp() {
            return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
        }
        if now > validity.not_after.timestamp() {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        let usage = certificate.extended_key_usage().map_err(|_| bad())?;
        if usage.is_none_or(|usage| usage.value.any || usage.value.server_auth) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotForServers)))))
    }

    fn check_names(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        if bears_one_of(leaf, &self.names)? {
            return Ok(());
        }
        let error = NoSuchName(self.names.clone());
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error)))))
    }
}

/// Whether a certificate bears one of these names: DNS names and addresses as servers' are checked, URIs as they stand.
pub(in crate::tls) fn bears_one_of(
    leaf: &CertificateDer<'_>,
    names: &[String],
) -> Result<bool, Error> {
    let parsed = ParsedCertificate::try_from(leaf)?;
    let bears = |name: &String| {
        let name = ServerName::try_from(name.as_str());
        name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    Ok(names.iter().any(bears) || has_uri(leaf, names))
}

fn has_uri(leaf: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    let Ok(Some(borne)) = certificate.subject_alternative_name() else { return false };
    borne.value.general_names.iter().any(|name| match name {
        GeneralName::URI(uri) => names.iter().any(|name| name == uri),
        _ => false,
    })
}

impl ServerCertVerifier for OutsideVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match self.given.iter().any(|it| it == end_entity) {
            true => OutsideVerifier::check_alone(end_entity, now).and_then(|()| {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
            }),
            false => self
                .chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop),
        };
        match verified {
            // The name is looked at last: all else is in order.
            Ok(())
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names.is_empty() => self.check_names(end_entity)?,
            verified => verified?,
        }
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures!();
}

/// Believes every server (`insecureSkipVerify`); only that it holds its certificate's key is made sure of.
#[derive(Debug)]
pub(super) struct Unchecked;

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures!();
}
