//! A `DestinationRule`.

mod load_balancer;
mod pool;

use std::collections::{BTreeMap, BTreeSet};

use meltemi_api::istio::destination_rule as api;
use meltemi_api::istio::tls as api_tls;
use meltemi_api::istio::traffic_policy as policy;
use meltemi_api::{
    BALANCING, Balancing, OUTLIER_DETECTION, OutlierStatistics, Resource, balancing,
    outlier_statistics,
};
use meltemi_names::{Host, expand_host};
use meltemi_policy::destination::rule::{
    ClientTls, ClientTlsMode, DestinationRule, FailurePercentage, OutlierDetection,
    PortTrafficPolicy, ProxyProtocolVersion, RetryBudget, SimpleLoadBalancer, Subset, SuccessRate,
    TrafficPolicy, TunnelSettings,
};
use serde_json::Value;

pub(super) use pool::connection_pool;

use super::{checked, count, millis};
use crate::destinations::DestinationRuleRecord;
use crate::record::Object;
use crate::settings::Settings;

/// Reads a destination rule; its host in full.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<DestinationRuleRecord, String> {
    let Resource::DestinationRule(resource) = checked(resource)? else {
        return Err("it is not a DestinationRule".into());
    };
    let api::DestinationRuleSpec { host, traffic_policy, subsets, export_to, workload_selector } =
        resource.spec;
    let host = expand_host(&host, &object.namespace, &settings.suffix);
    let host: Host = host.parse().map_err(|error| format!("spec.host: {error}"))?;
    let default_export_to = || settings.export_to.destination_rules.clone();
    let mut rule = DestinationRule {
        name: object.name.to_string(),
        namespace: object.namespace.to_string(),
        created: resource.metadata.creation_timestamp,
        host: host.to_string(),
        export_to: if export_to.is_empty() { default_export_to() } else { export_to },
        workload_selector: workload_selector.map(|it| it.match_labels),
        traffic_policy: traffic_policy.map(read_policy),
        subsets: subsets.into_iter().map(read_subset).collect(),
    };
    annotated(&mut rule, &resource.metadata.annotations)?;
    let is_selective = rule.workload_selector.is_some();
    let mut credentials = BTreeSet::new();
    for tls in rule.tls_mut().filter(|tls| !tls.credential_name.is_empty()) {
        tls.is_credential_of_gateways = !is_selective;
        if is_selective {
            credentials.insert(tls.credential_name.clone());
        }
    }
    Ok(DestinationRuleRecord { host, rule, credentials })
}

/// Adds what annotations say, for which Istio's API has no fields.
fn annotated(
    rule: &mut DestinationRule,
    annotations: &BTreeMap<String, String>,
) -> Result<(), String> {
    let named = |name, reason| format!("metadata.annotations[{name}]: {reason}");
    let balancing = balancing(annotations).map_err(|reason| named(BALANCING, reason))?;
    if let Some(balancing) = balancing {
        rule.balance(match balancing {
            Balancing::PeakEwma => SimpleLoadBalancer::PeakEwma,
            Balancing::Learned => SimpleLoadBalancer::Learned,
        });
    }
    let statistics =
        outlier_statistics(annotations).map_err(|reason| named(OUTLIER_DETECTION, reason))?;
    if let Some(statistics) = statistics {
        for outliers in rule.outlier_detections_mut() {
            outliers.success_rate = success_rate(&statistics);
            outliers.failure_percentage = failure_percentage(&statistics);
        }
    }
    Ok(())
}

fn success_rate(given: &OutlierStatistics) -> Option<SuccessRate> {
    let SuccessRate { minimum_hosts, request_volume, stdev_factor } = SuccessRate::default();
    given.has_success_rate().then(|| SuccessRate {
        minimum_hosts: given.success_rate_minimum_hosts.unwrap_or(minimum_hosts),
        request_volume: given.success_rate_request_volume.unwrap_or(request_volume),
        stdev_factor: given.success_rate_stdev_factor.unwrap_or(stdev_factor),
    })
}

fn failure_percentage(given: &OutlierStatistics) -> Option<FailurePercentage> {
    let FailurePercentage { threshold, minimum_hosts, request_volume } =
        FailurePercentage::default();
    given.has_failure_percentage().then(|| FailurePercentage {
        threshold: given.failure_percentage_threshold.unwrap_or(threshold),
        minimum_hosts: given.failure_percentage_minimum_hosts.unwrap_or(minimum_hosts),
        request_volume: given.failure_percentage_request_volume.unwrap_or(request_volume),
    })
}

fn read_subset(subset: api::Subset) -> Subset {
    let api::Subset { name, labels, traffic_policy } = subset;
    Subset { name, labels, traffic_policy: traffic_policy.map(read_policy) }
}

fn read_policy(given: policy::TrafficPolicy) -> TrafficPolicy {
    TrafficPolicy {
        load_balancer: given.load_balancer.map(load_balancer::read),
        connection_pool: given.connection_pool.as_ref().map(connection_pool),
        outlier_detection: given.outlier_detection.map(outlier_detection),
        tls: given.tls.map(client_tls),
        port_level_settings: given.port_level_settings.into_iter().filter_map(of_port).collect(),
        tunnel: given.tunnel.map(|it| TunnelSettings {
            use_post: it.protocol == "POST",
            target_host: it.target_host.to_ascii_lowercase(),
            target_port: it.target_port.number(),
        }),
        proxy_protocol: given.proxy_protocol.map(|it| match it.version {
            Some(policy::ProxyProtocolVersion::V2) => ProxyProtocolVersion::V2,
            Some(policy::ProxyProtocolVersion::V1) | None => ProxyProtocolVersion::V1,
        }),
        retry_budget: given.retry_budget.map(retry_budget),
    }
}

/// The settings of one port; those that do not say of which were refused before.
fn of_port(given: policy::PortTrafficPolicy) -> Option<PortTrafficPolicy> {
    Some(PortTrafficPolicy {
        port: given.port?.number?.number(),
        load_balancer: given.load_balancer.map(load_balancer::read),
        connection_pool: given.connection_pool.as_ref().map(connection_pool),
        outlier_detection: given.outlier_detection.map(outlier_detection),
        tls: given.tls.map(client_tls),
    })
}

fn outlier_detection(given: policy::OutlierDetection) -> OutlierDetection {
    OutlierDetection {
        split_external_local_origin_errors: given.split_external_local_origin_errors,
        consecutive_local_origin_failures: given.consecutive_local_origin_failures,
        consecutive_gateway_errors: given.consecutive_gateway_errors,
        consecutive_5xx_errors: given
            .consecutive_5xx_errors
            .or_else(|| count(given.consecutive_errors)),
        interval_ms: given.interval.map(millis),
        base_ejection_time_ms: given.base_ejection_time.map(millis),
        max_ejection_percent: count(given.max_ejection_percent),
        min_health_percent: count(given.min_health_percent),
        // An annotation says them, of all sections.
        success_rate: None,
        failure_percentage: None,
    }
}

fn client_tls(given: api_tls::ClientTls) -> ClientTls {
    use api_tls::ClientTlsMode as Mode;
    ClientTls {
        mode: match given.mode {
            Some(Mode::Disable) | None => ClientTlsMode::Disable,
            Some(Mode::Simple) => ClientTlsMode::Simple,
            Some(Mode::Mutual) => ClientTlsMode::Mutual,
            Some(Mode::IstioMutual) => ClientTlsMode::IstioMutual,
        },
        client_certificate: given.client_certificate,
        private_key: given.private_key,
        ca_certificates: given.ca_certificates,
        credential_name: given.credential_name,
        is_credential_of_gateways: false,
        subject_alt_names: given.subject_alt_names,
        sni: given.sni,
        insecure_skip_verify: given.insecure_skip_verify.unwrap_or_default(),
        ca_crl: given.ca_crl,
    }
}

fn retry_budget(given: policy::RetryBudget) -> RetryBudget {
    let RetryBudget { percent, min_retry_concurrency } = RetryBudget::default();
    RetryBudget {
        percent: given.percent.unwrap_or(percent),
        min_retry_concurrency: given.min_retry_concurrency.unwrap_or(min_retry_concurrency),
    }
}

#[cfg(test)]
mod tests;
