//! How metrics know the own workload: by the same rules as the control plane's for its peers.

use meltemi_names::{DEFAULT_CLUSTER, SpiffeId};
use meltemi_telemetry::{Party, Word};

use super::options::WorkloadOptions;

/// The labels of the own workload.
pub(super) fn of(workload: &WorkloadOptions, id: &SpiffeId) -> Party {
    let label = |keys: &[&str]| {
        let found = keys.iter().filter_map(|key| workload.labels.get(*key)).map(String::as_str);
        found.into_iter().find(|value| !value.is_empty())
    };
    // The registry gives this label to workloads that have none.
    let app = label(&["app"]).or(workload.service.as_deref());
    let version = label(&["version"]);
    let canonical = label(&["service.istio.io/canonical-name", "app.kubernetes.io/name"]).or(app);
    let revision =
        label(&["service.istio.io/canonical-revision", "app.kubernetes.io/version"]).or(version);
    let group = match (label(&["service.istio.io/workload-name"]), app, version) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(app), Some(version)) => format!("{app}-{version}"),
        (None, Some(app), None) => app.to_owned(),
        (None, None, _) => workload.name.clone(),
    };
    Party {
        workload: Word::new(&group),
        namespace: Word::new(&workload.namespace),
        principal: Word::new(&id.to_string()),
        app: app.map(Word::new).unwrap_or_default(),
        version: version.map(Word::new).unwrap_or_default(),
        canonical_service: Word::new(canonical.unwrap_or(&workload.name)),
        canonical_revision: Word::new(revision.unwrap_or("latest")),
        cluster: Word::new(DEFAULT_CLUSTER),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_workload_is_known_by_its_labels_then_its_service_then_its_name() {
        type Case =
            (Option<&'static str>, &'static [(&'static str, &'static str)], [&'static str; 4]);
        let cases: [Case; 4] = [
            (None, &[], ["unknown", "curl-1", "curl-1", "latest"]),
            (Some("reviews"), &[], ["reviews", "reviews", "reviews", "latest"]),
            (Some("reviews"), &[("version", "v2")], ["reviews", "reviews-v2", "reviews", "v2"]),
            (
                Some("reviews"),
                &[
                    ("app", "a"),
                    ("service.istio.io/workload-name", "w"),
                    ("service.istio.io/canonical-name", "c"),
                    ("service.istio.io/canonical-revision", "r"),
                ],
                ["a", "w", "c", "r"],
            ),
        ];
        for (service, labels, expected) in cases {
            let workload = WorkloadOptions {
                name: "curl-1".into(),
                namespace: "default".into(),
                service: service.map(Into::into),
                group: None,
                address_is_default: false,
                service_account: "default".into(),
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                ports: Vec::new(),
                labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            };
            let id = "spiffe://cluster.local/ns/default/sa/default".parse().unwrap();
            let party = of(&workload, &id);
            let found =
                [&party.app, &party.workload, &party.canonical_service, &party.canonical_revision];
            assert_eq!(found.map(Word::as_str), expected);
            assert_eq!(party.principal.as_str(), id.to_string());
        }
    }
}
