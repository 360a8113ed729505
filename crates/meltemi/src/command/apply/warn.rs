//! Warnings of an apply: hosts, services and accounts that are referred to but are nowhere.

use meltemi_api::parse::Accepted;

use crate::client::Client;
use crate::exit::Failure;
use crate::resource::Resources;

/// Tells what dangles.
pub(super) async fn tell(
    _client: &mut Client,
    _resources: &Resources,
    _accepted: &Accepted,
) -> Result<(), Failure> {
    Ok(())
}
