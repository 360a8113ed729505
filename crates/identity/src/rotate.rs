//! Renewal: a new key and certificate at half life, retried with patience, swapped in without a break.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_names::SpiffeId;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use tokio::sync::Notify;

use crate::bundle::{BundleError, TrustBundle, pem_reason};
use crate::csr::{self, CsrError};
use crate::identity::{Identity, IdentityError};
use crate::key::{self, KeyError};
use crate::svid::{Svid, SvidError};
use crate::tls;

/// The first wait after a failed renewal.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Sleeps are cut into pieces of this length, because a machine that was suspended, or whose clock was
/// set, must notice that its certificate is due.
const NAP: Duration = Duration::from_secs(30);

/// Over this time members spread who are to renew at once.
const HURRY: Duration = Duration::from_secs(2);

/// The file, beside the SVID, that holds the roots.
const BUNDLE_FILE: &str = "root-cert.pem";

/// The answer of a [`Signer`]: the PEM chain, leaf first, root last.
pub type Signed = Pin<Box<dyn Future<Output = Result<Vec<String>, SignerError>> + Send>>;

/// What a signer failed with; its text goes into the log.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// Has requests signed, usually by the control plane over the network.
pub trait Signer: Send + Sync {
    /// Sends a PEM request. The future may wait for the network, and should end by itself within some
    /// seconds.
    fn sign(&self, csr_pem: String) -> Signed;
}

impl<F> Signer for F
where
    F: Fn(String) -> Signed + Send + Sync,
{
    fn sign(&self, csr_pem: String) -> Signed {
        self(csr_pem)
    }
}

/// Why a certificate could not be got.
#[derive(Debug, Error)]
pub enum ObtainError {
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No request.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The signer refused or could not be reached.
    #[error("{0}")]
    Signer(SignerError),
    /// The answer is no SVID.
    #[error("the certificate that was sent is unusable: {0}")]
    Svid(#[from] SvidError),
    /// The answer's roots are unusable.
    #[error("the roots that were sent are unusable: {0}")]
    Bundle(#[from] BundleError),
    /// The answer is for somebody else.
    #[error("a certificate for {asked} was asked, one for {found} was sent")]
    Other {
        /// The id asked for.
        asked: Box<SpiffeId>,
        /// The id in the certificate.
        found: Box<SpiffeId>,
    },
    /// Peers would not accept the certificate.
    #[error(
        "the certificate that was sent would not be accepted by peers: {0}; check the clock and the CA's files"
    )]
    Unverified(rustls::Error),
    /// It could not be put in use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The time and the randomness of [`run`], and where to keep what it gets.
#[derive(Clone)]
pub struct Surroundings {
    /// The wall clock.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Uniform in 0..1.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// Directory for `svid.pem` (0600) and `root-cert.pem`, so that a restart needs no control plane.
    pub save_to: Option<PathBuf>,
    /// Asks for a renewal at once: the CA signs by another root now.
    pub hurry: Arc<Notify>,
}

impl Surroundings {
    /// The machine's clock and randomness.
    pub fn real(save_to: Option<PathBuf>) -> Self {
        Surroundings {
            now: Arc::new(SystemTime::now),
            random: Arc::new(rand::random::<f64>),
            save_to,
            hurry: Arc::default(),
        }
    }
}

/// How long to wait until a certificate is renewed: until half of its life is over, give or take a
/// twentieth by `jitter` (0..1), so that workloads which started together do not renew together.
pub fn next_renewal(
    not_before: SystemTime,
    not_after: SystemTime,
    now: SystemTime,
    jitter: f64,
) -> Duration {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    let due = not_before + life.mul_f64(0.45 + 0.1 * jitter.clamp(0.0, 1.0));
    due.duration_since(now).unwrap_or_default()
}

/// How long to wait after the given number of failures in a row (1, 2, ...): doubles from one second to a
/// minute; `jitter` (0..1) takes away up to half.
pub fn retry_after(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(6));
    let whole = doubled.min(LAST_RETRY);
    whole.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0)).max(FIRST_RETRY)
}

/// Makes a new key, has a certificate signed for `id`, and checks that peers will accept it. `trusted` are
/// the roots known so far; the root that comes with the chain joins them, because the signer was
/// authenticated by them.
pub async fn obtain(
    id: &SpiffeId,
    trusted: &TrustBundle,
    signer: &impl Signer,
    now: impl Fn() -> SystemTime,
) -> Result<(Svid, TrustBundle), ObtainError> {
    let key = key::generate()?;
    let chain = signer.sign(csr::create(&key, id)?).await.map_err(ObtainError::Signer)?.concat();
    let certificates = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SvidError::Pem(pem_reason(&error)))?;
    let root = certificates.iter().skip(1).next_back().filter(|der| tls::is_self_issued(der));
    let bundle = match root {
        Some(root) => trusted.with(&TrustBundle::new([root.clone()])?)?,
        None => trusted.clone(),
    };
    let svid = Svid::new(certificates, key)?;
    if svid.id() != id {
        let found = Box::new(svid.id().clone());
        return Err(ObtainError::Other { asked: Box::new(id.clone()), found });
    }
    tls::check_svid(&svid, &bundle, now()).map_err(ObtainError::Unverified)?;
    Ok((svid, bundle))
}

/// Keeps SVID and roots in `dir`; see [`Surroundings::save_to`].
pub fn save(svid: &Svid, bundle: &TrustBundle, dir: &std::path::Path) -> Result<(), SvidError> {
    svid.save(dir)?;
    bundle.save(&dir.join(BUNDLE_FILE)).map_err(|error| match error {
        BundleError::File(file) => SvidError::File(file),
        other => SvidError::Pem(other.to_string()),
    })
}

/// Keeps roots in `dir` beside the SVID that is there.
pub fn save_bundle(bundle: &TrustBundle, dir: &std::path::Path) -> Result<(), BundleError> {
    bundle.save(&dir.join(BUNDLE_FILE))
}

/// Reads what [`save`] kept.
pub fn load(dir: &std::path::Path) -> Result<(Svid, TrustBundle), ObtainError> {
    Ok((Svid::load(dir)?, TrustBundle::load(&dir.join(BUNDLE_FILE))?))
}

/// Renews the identity for ever: at half life, after failures again and again. Ends only when the future
/// is dropped.
pub async fn run(identity: Identity, signer: impl Signer, surroundings: Surroundings) {
    let Surroundings { now, random, save_to, hurry } = surroundings;
    loop {
        let svid = identity.svid();
        let due = now() + next_renewal(svid.not_before(), svid.not_after(), now(), random());
        tokio::select! {
            () = sleep_until(due, &*now) => {}
            // All members are told at once, and the CA is one.
            () = hurry.notified() => tokio::time::sleep(HURRY.mul_f64(random())).await,
        }

        let mut failures = 0;
        while let Err(error) = renew(&identity, &signer, &*now, save_to.as_deref()).await {
            failures += 1;
            let wait = retry_after(failures, random());
            report(&svid, &error, wait, now());
            sleep_until(now() + wait, &*now).await;
        }
    }
}

async fn renew(
    identity: &Identity,
    signer: &impl Signer,
    now: &(dyn Fn() -> SystemTime + Send + Sync),
    save_to: Option<&std::path::Path>,
) -> Result<(), ObtainError> {
    let (svid, bundle) = obtain(&identity.id(), &identity.bundle(), signer, now).await?;
    let (until, id) = (svid.not_after(), svid.id().clone());
    // A disk that is full must not keep a good certificate from use: only a restart would miss it.
    let kept = match save_to {
        Some(dir) => svid.save(dir),
        None => Ok(()),
    };
    identity.replace(svid, bundle)?;
    // What the control plane has said of roots goes before what came with the certificate.
    let kept = kept.map_err(|error| error.to_string()).and_then(|()| match save_to {
        Some(dir) => save_bundle(&identity.bundle(), dir).map_err(|error| error.to_string()),
        None => Ok(()),
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "the renewed certificate is in use, but could not be kept for a restart");
    }
    let seconds = until.duration_since(now()).unwrap_or_default().as_secs();
    tracing::info!(%id, valid_for_s = seconds, "certificate renewed");
    Ok(())
}

fn report(svid: &Svid, error: &ObtainError, wait: Duration, now: SystemTime) {
    let retry_s = wait.as_secs_f32();
    match svid.not_after().duration_since(now) {
        Ok(left) => tracing::warn!(
            id = %svid.id(), %error, retry_s, seconds_left = left.as_secs(),
            "the certificate could not be renewed yet"
        ),
        Err(over) => tracing::error!(
            id = %svid.id(), %error, retry_s, expired_s = over.duration().as_secs(),
            "the certificate has EXPIRED and peers refuse this workload: check that the control plane \
             runs and can be reached, or restart this proxy with a new join token (`meltemi token create`)"
        ),
    }
}

async fn sleep_until(due: SystemTime, now: &(dyn Fn() -> SystemTime + Send + Sync)) {
    while let Ok(left) = due.duration_since(now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(NAP)).await;
    }
}

#[cfg(test)]
mod tests;
