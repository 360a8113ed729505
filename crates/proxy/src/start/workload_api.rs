//! The certificate of a SPIFFE Workload API: taken at the start, and put in use anew whenever the agent sends another.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::tls::check_svid;
use meltemi_identity::{BundleError, Identity, IdentityError, Svid, SvidError, Trust, TrustBundle};
use meltemi_names::SpiffeId;
use meltemi_wire::proto::spiffe::X509svidResponse;
use meltemi_wire::workload_api::{Socket, WorkloadApi, WorkloadApiError};
use parking_lot::Mutex;

use super::StartError;
use super::join::Joining;
use super::options::Located;

/// How often a control plane of this machine is looked for that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why an answer of the Workload API cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It holds other identities.
    #[error(
        "the SPIFFE Workload API has no identity {expected} for this process, but {found}: register it with the agent's server, or change --namespace, --service-account or the mesh's trust domain"
    )]
    Other {
        /// Who the registry knows this workload as.
        expected: Box<SpiffeId>,
        /// What was given.
        found: String,
    },
    /// Key and certificates are no SVID.
    #[error("the SPIFFE Workload API has sent an SVID that is unusable: {0}")]
    Svid(#[from] SvidError),
    /// The roots are none.
    #[error("the SPIFFE Workload API has sent roots that are unusable: {0}")]
    Bundle(#[from] BundleError),
    /// Peers would not accept the certificate.
    #[error(
        "the SPIFFE Workload API has sent an SVID that does not lead to the roots beside it: {0}; check the clock"
    )]
    Unverified(String),
}

/// What an answer holds for this workload.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) svid: Svid,
    pub(super) bundle: TrustBundle,
}

impl Given {
    /// Takes the SVID of this id; the answer may hold others, and roots of other trust domains, which are left alone.
    pub(super) fn read(
        response: &X509svidResponse,
        expected: &SpiffeId,
        now: SystemTime,
    ) -> Result<Self, GivenError> {
        let ids = || response.svids.iter().map(|it| it.spiffe_id.as_str()).collect::<Vec<_>>();
        let other = |found: String| GivenError::Other {
            expected: Box::new(expected.clone()),
            found: if found.is_empty() { "none at all".to_owned() } else { found },
        };
        let name = expected.to_string();
        let message = response.svids.iter().find(|it| it.spiffe_id == name);
        let message = message.ok_or_else(|| other(ids().join(", ")))?;
        let svid = Svid::from_der(&message.x509_svid, &message.x509_svid_key)?;
        if svid.id() != expected {
            return Err(other(svid.id().to_string()));
        }
        let bundle = TrustBundle::from_der(&message.bundle)?;
        check_svid(&svid, &bundle, now)
            .map_err(|error| GivenError::Unverified(error.to_string()))?;
        Ok(Given { svid, bundle })
    }
}

/// The standing request.
#[derive(Debug)]
pub(super) struct Asking {
    api: WorkloadApi,
    expected: SpiffeId,
}

impl Asking {
    /// Waits for the control plane's whereabouts, by which the trust domain is known, and for a first certificate. `waiting`
    /// is told what is waited for.
    pub(super) async fn start(
        socket: &Socket,
        joining: &Joining,
        waiting: impl Fn(&str),
    ) -> Result<(Self, Given, Located), StartError> {
        let mut told = String::new();
        let mut tell = |reason: String| {
            if reason != told {
                tracing::warn!("waiting for {reason}");
                waiting(&reason);
                told = reason;
            }
        };
        let located = loop {
            match joining.control.locate() {
                Ok(located) => break located,
                Err(reason) => tell(format!("the control plane: {reason}")),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let domain = located.trust_domain.clone();
        let expected = SpiffeId::new(domain, &joining.namespace, &joining.service_account)?;
        let mut api = WorkloadApi::new(socket.clone());
        let response = loop {
            match api.next().await {
                Ok(response) => break response,
                Err(WorkloadApiError::Away(socket, reason)) => {
                    tell(format!("the SPIFFE Workload API at {socket}: {reason}"));
                }
                Err(refused @ WorkloadApiError::Refused(..)) => return Err(refused.into()),
            }
        };
        let given = Given::read(&response, &expected, SystemTime::now())?;
        tracing::info!(id = %expected, %socket, "certificate given by the SPIFFE Workload API");
        Ok((Asking { api, expected }, given, located))
    }

    /// Puts in use what is sent from now on, for ever.
    pub(super) async fn follow(mut self, roots: Arc<Roots>) {
        let mut told = String::new();
        loop {
            let answer = self.api.next().await.map_err(|error| error.to_string());
            let put = answer
                .and_then(|response| {
                    Given::read(&response, &self.expected, SystemTime::now())
                        .map_err(|error| error.to_string())
                })
                .and_then(|given| roots.renew(given).map_err(|error| error.to_string()));
            match put {
                Ok(is_new) => {
                    told.clear();
                    if is_new {
                        tracing::info!(id = %self.expected, "certificate renewed by the SPIFFE Workload API");
                    }
                }
                Err(reason) if reason != told => {
                    let left = roots.identity.svid().not_after().duration_since(SystemTime::now());
                    let seconds_left = left.unwrap_or_default().as_secs();
                    tracing::warn!(%reason, seconds_left, "going on with the certificate of before");
                    told = reason;
                }
                Err(_) => {}
            }
        }
    }
}

/// Whom a workload believes whose certificate is not of the mesh's CA: what the control plane says, and what the Workload
/// API does.
#[derive(Debug)]
pub(super) struct Roots {
    identity: Identity,
    parts: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    /// By the control plane.
    said: Trust,
    /// By the Workload API.
    given: TrustBundle,
}

impl Roots {
    /// `said` are the roots that the control plane is verified by until it says more.
    pub(super) fn new(identity: Identity, said: TrustBundle, given: TrustBundle) -> Self {
        let said = Trust { bundle: Arc::new(said), ..identity.tls().trust.clone() };
        Roots { identity, parts: Mutex::new(Parts { said, given }) }
    }

    /// Takes what the control plane says.
    pub(super) fn believe(&self, said: Trust) -> Result<(), IdentityError> {
        let mut parts = self.parts.lock();
        self.identity.believe(both(&said, &parts.given))?;
        parts.said = said;
        Ok(())
    }

    /// Takes what the Workload API sends; says whether it is another certificate. The new roots come first, so that there is
    /// no moment at which peers of the new root are strangers.
    fn renew(&self, Given { svid, bundle }: Given) -> Result<bool, IdentityError> {
        let mut parts = self.parts.lock();
        if parts.given != bundle {
            self.identity.believe(both(&parts.said, &bundle))?;
            parts.given = bundle.clone();
        }
        let is_new = self.identity.svid().chain() != svid.chain();
        if is_new {
            self.identity.replace(svid, bundle)?;
        }
        Ok(is_new)
    }
}

/// Roots of both; they were good as roots before.
fn both(said: &Trust, given: &TrustBundle) -> Trust {
    let bundle = match said.bundle.with(given) {
        Ok(bundle) => Arc::new(bundle),
        Err(_) => said.bundle.clone(),
    };
    Trust { bundle, ..said.clone() }
}
