//! A workload that wants to register, for a fuzz target.

use meltemi_names::SpiffeId;
use meltemi_wire::proto::meltemi::v1::{Health, RegisteredWorkload};
use serde_json::Value;

use super::{admit, objects};

/// What is written of a workload; `None` if it is refused.
pub(crate) fn entry(workload: &RegisteredWorkload, caller: &SpiffeId) -> Option<Value> {
    admit::admit(workload, caller).ok()?;
    let service = objects::managed_service(workload, None, "now");
    let again = objects::managed_service(workload, service.as_ref(), "now");
    assert_eq!(again, None, "a service as it was written needs no change");
    let health = Health { ready: true, reason: String::new() };
    Some(objects::workload_entry(workload, None, &health, None, "now"))
}
