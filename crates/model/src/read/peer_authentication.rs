//! A `PeerAuthentication`.

use meltemi_api::Resource;
use meltemi_api::istio::peer_authentication::{MutualTls, MutualTlsMode};
use meltemi_policy::peer::{Mode, PeerAuthentication};
use serde_json::Value;

use super::checked;

/// Reads a peer authentication.
pub(super) fn read(resource: &Value) -> Result<PeerAuthentication, String> {
    peer_authentication(&checked(resource)?).ok_or_else(|| "it is not a PeerAuthentication".into())
}

/// What decides of a resource that is a `PeerAuthentication`.
pub fn peer_authentication(resource: &Resource) -> Option<PeerAuthentication> {
    let Resource::PeerAuthentication(policy) = resource else { return None };
    let (metadata, spec) = (&policy.metadata, &policy.spec);
    // A key that is no port was refused when the resource was read.
    let on_port = |(port, mtls): (&String, &MutualTls)| Some((port.parse().ok()?, mode(mtls)));
    Some(PeerAuthentication {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        created: metadata.creation_timestamp.clone(),
        selector: spec.selector.clone().unwrap_or_default().match_labels,
        mode: spec.mtls.as_ref().and_then(mode),
        ports: spec.port_level_mtls.iter().filter_map(on_port).collect(),
    })
}

fn mode(mtls: &MutualTls) -> Option<Mode> {
    match mtls.mode? {
        MutualTlsMode::Unset => None,
        MutualTlsMode::Disable => Some(Mode::Disable),
        MutualTlsMode::Permissive => Some(Mode::Permissive),
        MutualTlsMode::Strict => Some(Mode::Strict),
    }
}
