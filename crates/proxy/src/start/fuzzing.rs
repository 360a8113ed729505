//! What a SPIFFE agent answers, for a fuzz target.

use std::time::{Duration, SystemTime};

use meltemi_identity::TrustBundle;
use meltemi_identity::tls::check_svid;
use meltemi_names::SpiffeId;
use meltemi_wire::proto::spiffe::X509svidResponse;
use prost::Message as _;

use super::workload_api::Given;

/// When and for whom the answers of the corpus are good.
const NOW: Duration = Duration::from_secs(1_800_000_000);
const ID: &str = "spiffe://cluster.local/ns/default/sa/web";

/// An answer with X.509 SVIDs: what is taken of it is of the one identity that was asked for, leads to the roots beside it, and
/// these can be passed on.
pub(crate) fn workload_api(bytes: &[u8]) {
    let Ok(response) = X509svidResponse::decode(bytes) else { return };
    let expected: SpiffeId = ID.parse().expect("an id");
    let now = SystemTime::UNIX_EPOCH + NOW;
    let Ok(Given { svid, bundle }) = Given::read(&response, &expected, now) else { return };
    assert_eq!(svid.id(), &expected);
    assert!(check_svid(&svid, &bundle, now).is_ok());
    assert!(!bundle.roots().is_empty());
    assert_eq!(TrustBundle::from_pem(&bundle.to_pem()).ok(), Some(bundle));
}
