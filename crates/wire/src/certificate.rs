//! The client of the certificate service.

use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::proto::istio::v1::auth::IstioCertificateRequest;
use crate::proto::istio::v1::auth::istio_certificate_service_client::IstioCertificateServiceClient;

/// How long the control plane may take to sign.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The token cannot stand in a header.
    #[error("the join token holds characters that no token has; check the token file")]
    Token,
    /// The control plane refused, or was not reached.
    #[error("the control plane did not sign the certificate: {} ({:?})", .0.message(), .0.code())]
    Refused(Box<Status>),
    /// The answer holds nothing.
    #[error("the control plane answered without a certificate")]
    Empty,
}

/// Has a request (PEM) signed. `token` is the join token for a first certificate; without one the channel's own client
/// certificate says who asks. Answers with the chain in PEM, leaf first, root last.
///
/// # Errors
/// When the control plane refuses, cannot be reached, or has not answered after 10 s.
pub async fn create_certificate(
    channel: Channel,
    token: Option<&str>,
    csr_pem: String,
    ttl: Duration,
) -> Result<Vec<String>, CertificateError> {
    let validity_duration = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let mut request =
        Request::new(IstioCertificateRequest { csr: csr_pem, validity_duration, metadata: None });
    request.set_timeout(TIME_LIMIT);
    if let Some(token) = token {
        let mut bearer: tonic::metadata::AsciiMetadataValue =
            format!("Bearer {}", token.trim()).parse().map_err(|_| CertificateError::Token)?;
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
    }
    let answer = IstioCertificateServiceClient::new(channel)
        .create_certificate(request)
        .await
        .map_err(|status| CertificateError::Refused(Box::new(status)))?;
    match answer.into_inner().cert_chain {
        chain if chain.is_empty() => Err(CertificateError::Empty),
        chain => Ok(chain),
    }
}
