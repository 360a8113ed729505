//! The first certificate: asked for with a join token, again and again while the control plane is away.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::ca::control_plane_id;
use meltemi_identity::rotate::{self, ObtainError, Signed, Signer, SignerError};
use meltemi_identity::tls::bootstrap_client_config;
use meltemi_identity::{Svid, TrustBundle};
use meltemi_names::SpiffeId;
use meltemi_wire::certificate::{CertificateError, create_certificate};
use meltemi_wire::transport::{TlsSource, channel};
use tonic::Code;

use super::StartError;
use super::options::{ControlPlane, Located};

/// gRPC's ALPN.
const H2: &[u8] = b"h2";
/// The wait after a first attempt that failed; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Joins the mesh as one workload.
#[derive(Debug, Clone)]
pub(super) struct Joining {
    pub(super) control: Arc<dyn ControlPlane>,
    pub(super) namespace: String,
    pub(super) service_account: String,
    /// The life of a certificate that is asked for; the control plane may give less.
    pub(super) life: Duration,
}

/// Why an attempt did not succeed.
#[derive(Debug, PartialEq, Eq)]
enum Setback {
    /// It may succeed later.
    Away(String),
    /// It will not.
    Refused(String),
}

/// The control plane is not known at the moment.
#[derive(Debug)]
struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unknown {}

impl Joining {
    /// The certificate that was kept, if it can still be used; else a new one, which is kept.
    pub(super) async fn identity(
        &self,
        dir: &Path,
        waiting: impl Fn(&str),
    ) -> Result<(Svid, TrustBundle), StartError> {
        if let Some(kept) = self.kept(dir, SystemTime::now()) {
            tracing::info!(id = %kept.0.id(), "going on with the certificate of before");
            return Ok(kept);
        }
        let (svid, bundle) = self.obtain(waiting).await?;
        rotate::save(&svid, &bundle, dir).map_err(StartError::Keep)?;
        let seconds = svid.not_after().duration_since(SystemTime::now()).unwrap_or_default();
        tracing::info!(id = %svid.id(), valid_for_s = seconds.as_secs(), "certificate signed");
        Ok((svid, bundle))
    }

    fn kept(&self, dir: &Path, now: SystemTime) -> Option<(Svid, TrustBundle)> {
        let (svid, bundle) = match rotate::load(dir) {
            Ok(kept) => kept,
            Err(error) => {
                if dir.exists() {
                    tracing::warn!(%error, "the certificate of before cannot be used; asking for a new one");
                }
                return None;
            }
        };
        let id = svid.id();
        let is_ours = id.namespace() == self.namespace
            && id.service_account() == self.service_account
            && !svid.is_expired(now);
        // A control plane with other roots (its state was deleted, say) would not know the certificate.
        let is_of_this_mesh = match self.control.locate() {
            Ok(located) => {
                *id.trust_domain() == located.trust_domain
                    && located.bundle.roots().iter().any(|root| bundle.roots().contains(root))
            }
            Err(_) => true,
        };
        (is_ours && is_of_this_mesh).then_some((svid, bundle))
    }

    async fn obtain(&self, waiting: impl Fn(&str)) -> Result<(Svid, TrustBundle), StartError> {
        let mut told = String::new();
        let mut wait = FIRST_WAIT;
        loop {
            let reason = match self.attempt().await {
                Ok(obtained) => return Ok(obtained),
                Err(Setback::Refused(reason)) => return Err(StartError::Refused(reason)),
                Err(Setback::Away(reason)) => reason,
            };
            if reason != told {
                tracing::warn!(%reason, "waiting for the control plane");
                waiting(&reason);
                told = reason;
            }
            tokio::time::sleep(wait.mul_f64(1.0 - 0.5 * rand::random::<f64>())).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn attempt(&self) -> Result<(Svid, TrustBundle), Setback> {
        let located = self.control.locate().map_err(Setback::Away)?;
        let id =
            SpiffeId::new(located.trust_domain.clone(), &self.namespace, &self.service_account)
                .map_err(|error| Setback::Refused(error.to_string()))?;
        rotate::obtain(&id, &located.bundle, self, SystemTime::now).await.map_err(setback)
    }

    /// Has a request signed on the strength of a join token.
    pub(super) async fn join(&self, csr: String) -> Result<Vec<String>, SignerError> {
        let unknown = |reason| Box::new(Unknown(reason));
        let Located { target, bundle, trust_domain } = self.control.locate().map_err(unknown)?;
        let token = self.control.token().map_err(unknown)?;
        let expected = control_plane_id(&trust_domain)?;
        let config = bootstrap_client_config(&bundle, expected.clone(), vec![H2.to_vec()])?;
        let tls: TlsSource = Arc::new(move || config.clone());
        let channel = channel(&target, tls, expected);
        Ok(create_certificate(channel, Some(&token), csr, self.life).await?)
    }
}

impl Signer for Joining {
    fn sign(&self, csr_pem: String) -> Signed {
        let joining = self.clone();
        Box::pin(async move { joining.join(csr_pem).await })
    }
}

fn setback(error: ObtainError) -> Setback {
    let ObtainError::Signer(error) = error else { return Setback::Refused(error.to_string()) };
    match error.downcast_ref::<CertificateError>() {
        Some(CertificateError::Refused(status)) => match status.code() {
            Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument => {
                Setback::Refused(status.message().into())
            }
            _ => Setback::Away(innermost(status)),
        },
        Some(CertificateError::Token) => Setback::Refused(error.to_string()),
        Some(CertificateError::Empty) | None => Setback::Away(error.to_string()),
    }
}

/// What lies at the bottom of an error: "connection refused" rather than "transport error".
fn innermost(status: &tonic::Status) -> String {
    let mut error: &dyn Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<tonic::Status>() {
        Some(status) => status.message().into(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
