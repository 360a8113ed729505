//! A `ReferenceGrant`.

use meltemi_api::Resource;
use serde_json::Value;

use super::GROUP;
use crate::read::checked;
use crate::record::ObjectKind;
use crate::routes::ReferenceGrantRecord;

/// Reads what a grant says of routes and services; the rest is for others.
pub(in crate::read) fn read(resource: &Value) -> Result<ReferenceGrantRecord, String> {
    let Resource::ReferenceGrant(grant) = checked(resource)? else {
        return Err("it is not a ReferenceGrant".into());
    };
    let from = grant.spec.from.iter().filter_map(|from| {
        let kind = match (from.group.as_str(), from.kind.as_str()) {
            (GROUP, "HTTPRoute") => ObjectKind::HttpRoute,
            (GROUP, "GRPCRoute") => ObjectKind::GrpcRoute,
            _ => return None,
        };
        Some((kind, from.namespace.as_str().into()))
    });
    let services = grant.spec.to.iter().filter(|to| to.group.is_empty() && to.kind == "Service");
    Ok(ReferenceGrantRecord {
        from: from.collect(),
        to: services.map(|to| to.name.as_deref().map(Into::into)).collect(),
    })
}
