//! Renewal of the certificate while the proxy runs, and the channel that shows the certificate of the moment.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use meltemi_identity::Identity;
use meltemi_identity::ca::control_plane_id;
use meltemi_identity::rotate::{Signed, Signer};
use meltemi_names::SpiffeIdError;
use meltemi_wire::certificate::create_certificate;
use meltemi_wire::transport::{TargetSource, TlsSource, moving_channel};
use tonic::transport::Channel;

use super::join::Joining;
use super::options::ControlPlane;
use crate::listen::alpn::CONTROL_PLANE;

/// A channel to the control plane, wherever it is at the moment of each connection, with our certificate of that moment.
pub(super) fn secure_channel(
    identity: &Identity,
    control: Arc<dyn ControlPlane>,
) -> Result<Channel, SpiffeIdError> {
    let expected = control_plane_id(identity.id().trust_domain())?;
    let target: TargetSource =
        Arc::new(move || control.locate().map(|it| it.target).map_err(io::Error::other));
    let identity = identity.clone();
    let tls: TlsSource = Arc::new(move || identity.tls().clients[CONTROL_PLANE].clone());
    Ok(moving_channel(target, tls, expected))
}

/// Has renewals signed on the strength of the certificate that is to be renewed; where its time is over, of a join token.
pub(super) struct Renewal {
    pub(super) identity: Identity,
    pub(super) channel: Channel,
    pub(super) joining: Joining,
}

impl Signer for Renewal {
    fn sign(&self, csr_pem: String) -> Signed {
        let (channel, joining) = (self.channel.clone(), self.joining.clone());
        let is_expired = self.identity.svid().is_expired(SystemTime::now());
        Box::pin(async move {
            match is_expired {
                true => joining.join(csr_pem).await,
                false => Ok(create_certificate(channel, None, csr_pem, joining.life).await?),
            }
        })
    }
}
