//! What an analysis finds.

use std::fmt;

use meltemi_api::{Resource, Severity};
use serde::Serialize;

/// Which check found it; where Istio's `analyze` has the same, by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Code {
    /// The control plane cannot use the object.
    SetAside,
    /// A host, subset or object that is nowhere (IST0101).
    ReferencedResourceNotFound,
    /// Two virtual services for one host, of which one counts (IST0109).
    ConflictingMeshGatewayVirtualServiceHosts,
    /// What a merge of destination rules for one host leaves out.
    DestinationRuleIsHidden,
    /// A selector that no workload has the labels of (IST0127).
    NoMatchingWorkloadsFound,
    /// Two Sidecars that choose one workload, of which one counts (IST0110).
    ConflictingSidecarWorkloadSelectors,
    /// Two Sidecars for all of a namespace, of which one counts (IST0111).
    MultipleSidecarsWithoutWorkloadSelectors,
    /// A rule that asks connections of bytes for what only requests have.
    HttpFieldsOnTcpPort,
    /// A destination rule by which calls are made that their workloads refuse (IST0113).
    MTLSPolicyConflict,
    /// Policies that have several authorizers asked about one workload.
    SeveralAuthorizers,
    /// A peer authentication that an older one of its level goes before.
    PeerAuthenticationIsHidden,
    /// A listener of a Sidecar for a port that no service has.
    ListenerWithoutService,
    /// A subset whose labels no endpoint has.
    SubsetWithoutEndpoints,
    /// This version does not act on it.
    WithoutEffect,
}

/// One problem of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    /// An error breaks calls, a warning is probably not meant.
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) kind: String,
    /// Empty where the kind does not live in one.
    pub(super) namespace: String,
    pub(super) name: String,
    /// The field, as in `spec.http[0].route[1].destination.host`; empty for the whole object.
    pub(super) path: String,
    pub(super) message: String,
}

impl Finding {
    /// Says something of a resource, at a field.
    pub(super) fn of(
        resource: &Resource,
        path: impl ToString,
        (severity, code): (Severity, Code),
        message: String,
    ) -> Finding {
        let kind = resource.kind();
        let metadata = resource.metadata();
        let namespace = metadata.namespace.clone();
        Finding {
            severity,
            code,
            kind: kind.to_string(),
            namespace: if kind.namespaced() { namespace } else { String::new() },
            name: metadata.name.clone(),
            path: path.to_string(),
            message,
        }
    }

    /// Whether it is about an object of this namespace, or of none.
    pub(super) fn is_about(&self, namespace: &str) -> bool {
        self.namespace.is_empty() || self.namespace == namespace
    }
}

/// `error: VirtualService default/a: spec.http[0]: ... [ReferencedResourceNotFound]`, in one line: what users wrote must not
/// drive a terminal.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { severity, code, kind, namespace, name, path, message } = self;
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let slash = if namespace.is_empty() { "" } else { "/" };
        let colon = if path.is_empty() { "" } else { ": " };
        let text = format!(
            "{severity}: {kind} {namespace}{slash}{name}: {path}{colon}{message} [{code:?}]"
        );
        f.write_str(&text.replace(char::is_control, " "))
    }
}
