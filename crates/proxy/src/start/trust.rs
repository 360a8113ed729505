//! Whom we believe: what the control plane says of roots and of revoked certificates, put in use and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meltemi_identity::tls::check_svid;
use meltemi_identity::{DenyList, Federation, Identity, Trust, TrustBundle, rotate};
use meltemi_names::TrustDomain;
use meltemi_wire::proto::meltemi::v1;
use prost::Message;
use tokio::sync::Notify;

use super::workload_api::Roots;
use crate::config::TrustSink;

/// The file, beside the certificate, that holds what is revoked.
const DENIED: &str = "denied";
/// The one that says which other trust domains are believed.
const FEDERATION: &str = "federation";

/// Where our certificate comes from.
pub(super) enum Source {
    /// The mesh's CA; it is asked at once for a new one when it signs by another root.
    ControlPlane(Arc<Notify>),
    /// A SPIFFE Workload API, whose roots are believed beside what the control plane says.
    WorkloadApi(Arc<Roots>),
}

/// Puts what is said in use before it is acknowledged: the control plane signs by a new root only when all believe it.
pub(super) fn believer(identity: Identity, dir: PathBuf, source: Source) -> TrustSink {
    TrustSink::new(move |body| {
        let trust = read(body)?;
        let believed = match &source {
            Source::ControlPlane(_) => identity.believe(trust.clone()),
            Source::WorkloadApi(roots) => roots.believe(trust.clone()),
        };
        believed.map_err(|error| error.to_string())?;
        keep(&trust, &dir);
        let hurry = match &source {
            Source::ControlPlane(hurry) if !is_of_first_root(&identity, &trust.bundle) => {
                Some(hurry)
            }
            _ => None,
        };
        tracing::info!(
            roots = trust.bundle.roots().len(),
            federated = trust.federation.bundles().count(),
            revoked = trust.denied.serials().count() + trust.denied.ids().count(),
            renewing = hurry.is_some(),
            "the control plane has said whom to believe"
        );
        if let Some(hurry) = hurry {
            hurry.notify_one();
        }
        Ok(())
    })
}

/// What was revoked, and who was believed beside members, when this proxy ran last: good until the control plane says more.
pub(super) fn restore(identity: &Identity, dir: &Path) {
    let denied = DenyList::load(&dir.join(DENIED)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the list of revoked certificates cannot be read");
        DenyList::default()
    });
    let federation = Federation::load(&dir.join(FEDERATION)).unwrap_or_else(|error| {
        tracing::warn!(%error, "which other trust domains are believed cannot be read");
        Federation::default()
    });
    if denied.is_empty() && federation == Federation::default() {
        return;
    }
    let (denied, federation) = (Arc::new(denied), Arc::new(federation));
    if let Err(error) = identity.believe(Trust { bundle: identity.bundle(), federation, denied }) {
        tracing::warn!(%error, "whom to believe, as it was before, cannot be put in use");
    }
}

fn read(body: &[u8]) -> Result<Trust, String> {
    let message = v1::Trust::decode(body).map_err(|error| error.to_string())?;
    let bundle = TrustBundle::from_pem(&message.roots).map_err(|error| error.to_string())?;
    let mut denied = DenyList::default();
    for serial in &message.denied_serials {
        if !denied.deny_serial(serial) {
            return Err(format!("`{serial}` is no serial number"));
        }
    }
    for identity in &message.denied_identities {
        let id = identity.id.parse().map_err(|error| format!("{}: {error}", identity.id))?;
        denied.deny_id(id, UNIX_EPOCH + Duration::from_secs(identity.before));
    }
    let federation = Arc::new(federation(&message)?);
    Ok(Trust { bundle: Arc::new(bundle), federation, denied: Arc::new(denied) })
}

fn federation(message: &v1::Trust) -> Result<Federation, String> {
    let domain = |name: &String| {
        name.parse::<TrustDomain>().map_err(|error| format!("trust domain {name}: {error}"))
    };
    let aliases = message.aliases.iter().map(domain).collect::<Result<Vec<_>, _>>()?;
    let bundles = message.federated.iter().map(|it| {
        let bundle = TrustBundle::from_pem(&it.roots);
        let bundle =
            bundle.map_err(|error| format!("trust domain {}: {error}", it.trust_domain))?;
        Ok((domain(&it.trust_domain)?, bundle))
    });
    Ok(Federation::new(aliases, bundles.collect::<Result<Vec<_>, String>>()?))
}

/// A disk that is full must not keep it from use: only a restart would miss it.
fn keep(trust: &Trust, dir: &Path) {
    let kept = std::fs::create_dir_all(dir)
        .map_err(|error| error.to_string())
        .and_then(|()| rotate::save_bundle(&trust.bundle, dir).map_err(|error| error.to_string()))
        .and_then(|()| trust.denied.save(&dir.join(DENIED)).map_err(|error| error.to_string()))
        .and_then(|()| {
            trust.federation.save(&dir.join(FEDERATION)).map_err(|error| error.to_string())
        });
    if let Err(error) = kept {
        tracing::warn!(%error, "whom to believe could not be kept for a restart");
    }
}

/// Whether our certificate leads to the root by which the CA signs now.
fn is_of_first_root(identity: &Identity, bundle: &TrustBundle) -> bool {
    let first = bundle.roots().first().cloned();
    TrustBundle::new(first)
        .is_ok_and(|first| check_svid(&identity.svid(), &first, SystemTime::now()).is_ok())
}
