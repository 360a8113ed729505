//! What a policy of Istio's is attached to by `targetRef` and `targetRefs`.

use std::sync::Arc;

use meltemi_api::istio::PolicyTargetReference;
use meltemi_names::service_host;

use crate::record::Object;
use crate::settings::Settings;

/// What a policy is attached to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Targets {
    /// The hosts of services.
    pub(super) services: Vec<String>,
    /// The names of service entries of its namespace.
    pub(super) entries: Vec<Arc<str>>,
    /// What has an effect on no sidecar.
    others: Vec<String>,
}

impl Targets {
    /// Reads what a policy of this name and namespace says.
    pub(super) fn read<'t>(
        references: impl IntoIterator<Item = &'t PolicyTargetReference>,
        object: &Object,
        settings: &Settings,
    ) -> Self {
        let mut targets = Targets::default();
        for it in references {
            match (it.group.as_str(), it.kind.as_str()) {
                ("", "Service") => {
                    let host = service_host(&it.name, &object.namespace, &settings.suffix);
                    targets.services.push(host);
                }
                ("networking.istio.io", "ServiceEntry") => {
                    targets.entries.push(it.name.as_str().into());
                }
                _ => targets.others.push(format!("{} {}", it.kind, it.name)),
            }
        }
        targets
    }

    /// Whether all of it is nothing that a sidecar stands for.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.services.is_empty() && self.entries.is_empty() && !self.others.is_empty()
    }

    /// What has another effect than the policy says.
    pub(super) fn flaw(&self) -> Option<String> {
        let other = self.others.first()?;
        Some(format!("spec.targetRefs: that it is attached to {other} has no effect on sidecars"))
    }
}
