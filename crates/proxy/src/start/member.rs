//! The proxy as a member of the mesh: its certificate, got and kept fresh, its way to the control plane, and whom it believes.

use std::path::Path;
use std::sync::Arc;

use meltemi_identity::Identity;
use meltemi_identity::rotate::{self, Surroundings};
use meltemi_wire::workload_api::Socket;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::StartError;
use super::join::Joining;
use super::options::ProxyOptions;
use super::renew::{Renewal, secure_channel};
use super::trust::{self, Source};
use super::workload_api::{Asking, Roots};
use crate::config::TrustSink;
use crate::shared::alpn_plan;

/// A member of the mesh: its way to the control plane, who it is, and whom it believes.
pub(super) struct Member {
    pub(super) channel: Channel,
    pub(super) identity: Identity,
    pub(super) trust: TrustSink,
}

/// Gets a certificate from where the options say, and has `tasks` keep it fresh. `waiting` is told what is waited for.
pub(super) async fn join(
    options: &ProxyOptions,
    dir: &Path,
    waiting: impl Fn(&str),
    tasks: &mut JoinSet<()>,
) -> Result<Member, StartError> {
    let joining = Joining {
        control: options.control.clone(),
        namespace: options.workload.namespace.clone(),
        service_account: options.workload.service_account.clone(),
        life: options.certificate_life,
    };
    match &options.workload_api {
        Some(socket) => by_workload_api(joining, socket, dir, waiting, tasks).await,
        None => by_control_plane(joining, dir, waiting, tasks).await,
    }
}

async fn by_control_plane(
    joining: Joining,
    dir: &Path,
    waiting: impl Fn(&str),
    tasks: &mut JoinSet<()>,
) -> Result<Member, StartError> {
    let away = |reason: &str| waiting(&format!("the control plane: {reason}"));
    let (svid, bundle) = joining.identity(dir, away).await?;
    let identity = Identity::new(svid, bundle, alpn_plan())?;
    let channel = secure_channel(&identity, joining.control.clone())?;
    trust::restore(&identity, dir);
    let surroundings = Surroundings::real(Some(dir.to_owned()));
    let source = Source::ControlPlane(surroundings.hurry.clone());
    let trust = trust::believer(identity.clone(), dir.to_owned(), source);
    let renewal = Renewal { identity: identity.clone(), channel: channel.clone(), joining };
    tasks.spawn(rotate::run(identity.clone(), renewal, surroundings));
    Ok(Member { channel, identity, trust })
}

/// Key and certificate stay in memory: the agent has them at hand for the next start.
async fn by_workload_api(
    joining: Joining,
    socket: &Socket,
    dir: &Path,
    waiting: impl Fn(&str),
    tasks: &mut JoinSet<()>,
) -> Result<Member, StartError> {
    let (asking, given, located) = Asking::start(socket, &joining, waiting).await?;
    // Both are good as bundles, and so is what they hold together.
    let bundle = located.bundle.with(&given.bundle).unwrap_or_else(|_| given.bundle.clone());
    let identity = Identity::new(given.svid, bundle, alpn_plan())?;
    let channel = secure_channel(&identity, joining.control)?;
    trust::restore(&identity, dir);
    let roots = Arc::new(Roots::new(identity.clone(), located.bundle, given.bundle));
    let source = Source::WorkloadApi(roots.clone());
    let trust = trust::believer(identity.clone(), dir.to_owned(), source);
    tasks.spawn(asking.follow(roots));
    Ok(Member { channel, identity, trust })
}
