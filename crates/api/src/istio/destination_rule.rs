//! `DestinationRule`: how a service is called, and its subsets.

use std::collections::{BTreeMap, HashMap};

use meltemi_names::is_dns_label;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{MatchSelector, check_export_to};
use super::status::Status;
use super::traffic_policy::TrafficPolicy;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::form;

/// How a service is called, and its subsets.
pub type DestinationRule = Object<DestinationRuleSpec, Status>;

/// How a service is called, and its subsets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    /// The service; a short name belongs to the rule's own namespace.
    #[schemars(with = "form::Host")]
    pub host: String,
    /// How all of it is called.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Parts of the service by labels.
    #[serde(default)]
    pub subsets: Vec<Subset>,
    /// The namespaces that the rule is for; all where it is left out.
    #[serde(default)]
    pub export_to: Vec<String>,
    /// The callers that the rule is for; all where it is left out.
    pub workload_selector: Option<MatchSelector>,
}

/// A part of a service.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    #[schemars(with = "form::Filled")]
    pub name: String,
    /// The labels of its workloads.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How it is called, where that differs from the whole.
    pub traffic_policy: Option<TrafficPolicy>,
}

impl DestinationRuleSpec {
    fn detects_outliers(&self) -> bool {
        let subsets = self.subsets.iter().filter_map(|it| it.traffic_policy.as_ref());
        self.traffic_policy.iter().chain(subsets).any(TrafficPolicy::detects_outliers)
    }
}

impl Spec for DestinationRuleSpec {
    fn check(&self, metadata: &ObjectMeta, at: &Path, report: &mut Report) {
        crate::balancing::check(metadata, report);
        crate::outliers::check(metadata, self.detects_outliers(), report);
        check_export_to(&self.export_to, at, report);
        if let Some(policy) = &self.traffic_policy {
            policy.check(&at.field("trafficPolicy"), report);
        }
        let mut names = HashMap::new();
        for (index, subset) in self.subsets.iter().enumerate() {
            let at = at.field("subsets").item(index);
            if let Some(first) = names.insert(subset.name.as_str(), index) {
                let message = format!("`{}` is the name of subset [{first}] already", subset.name);
                report.error(at.field("name"), message);
            }
            subset.check(&at, report);
        }
        if let Some(selector) = &self.workload_selector {
            selector.check(&at.field("workloadSelector"), report);
        }
    }
}

impl Subset {
    fn check(&self, at: &Path, report: &mut Report) {
        // Istio makes a part of a cluster's name of it.
        let folded = self.name.to_ascii_lowercase();
        if !is_dns_label(&folded) {
            let message = format!(
                "`{}` is not a subset's name: at most 63 letters, digits and `-`",
                self.name
            );
            report.error(at.field("name"), message);
        }
        check_labels(&self.labels, &at.field("labels"), report);
        if let Some(policy) = &self.traffic_policy {
            policy.check(&at.field("trafficPolicy"), report);
        }
    }
}
