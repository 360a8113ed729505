//! An `AuthorizationPolicy`.

use meltemi_api::Resource;
use meltemi_api::istio::authorization_policy as api;
use meltemi_names::TrustDomain;
use meltemi_policy::authz::Policies;
use meltemi_policy::authz::rule::{
    Action, AuthorizationPolicy, Condition, Operation, Rule, Source,
};
use serde_json::Value;

use super::checked;
use super::targets::Targets;
use crate::authorization::AuthorizationPolicyRecord;
use crate::record::Object;
use crate::settings::Settings;

/// The annotation that has a policy evaluated without effect.
const DRY_RUN: &str = "istio.io/dry-run";
/// The trust domain that stands for the mesh's own, whatever that is (Istio's trust domain migration).
const ANY_MESH: &str = "cluster.local";

/// Reads an authorization policy.
pub(super) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<AuthorizationPolicyRecord, String> {
    let Resource::AuthorizationPolicy(resource) = checked(resource)? else {
        return Err("it is not an AuthorizationPolicy".into());
    };
    let spec = resource.spec;
    let targets = Targets::read(spec.target_ref.iter().chain(&spec.target_refs), object, settings);
    let is_dry_run = resource.metadata.annotations.get(DRY_RUN).is_some_and(|it| is_true(it));
    let action = spec.action.map_or(Action::Allow, action);
    let provider = spec.provider.map(|it| it.name).unwrap_or_default();
    let policy = AuthorizationPolicy {
        name: object.name.to_string(),
        namespace: object.namespace.to_string(),
        action,
        dry_run: is_dry_run,
        services: targets.services.clone(),
        rules: spec.rules.into_iter().map(|it| rule(it, settings)).collect(),
        provider,
    };
    // What a proxy could not use is refused here.
    Policies::compile([&policy]).map_err(|error| error.to_string())?;
    Ok(AuthorizationPolicyRecord {
        selector: spec.selector.map(|it| it.match_labels).filter(|it| !it.is_empty()),
        is_elsewhere: targets.is_elsewhere(),
        flaw: flaw(&policy, &targets, settings),
        entries: targets.entries,
        policy: policy.into(),
    })
}

/// What another effect has than it says.
fn flaw(policy: &AuthorizationPolicy, targets: &Targets, settings: &Settings) -> Option<String> {
    let mut flaws = Vec::from_iter(targets.flaw());
    let known = &settings.extension_providers;
    if let Some(provider) = policy.asks().filter(|name| !known.iter().any(|it| it.name == *name)) {
        let names: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
        let there = match names.is_empty() {
            true => "the mesh has none (`meltemi control --mesh-config`)".to_owned(),
            false => format!("the mesh has {}", names.join(", ")),
        };
        flaws.push(format!(
            "spec.provider.name: there is no authorizer `{provider}`, so that what the rules match is refused; {there}"
        ));
    }
    let keys = policy.rules.iter().flat_map(|it| &it.when).map(|it| &it.key);
    if let Some(key) = keys.into_iter().find(|it| it.starts_with("experimental.")) {
        flaws.push(format!(
            "spec.rules: `{key}` is not known here: a rule that allows by it allows nothing, another one counts without it"
        ));
    }
    (!flaws.is_empty()).then(|| flaws.join("; "))
}

/// A boolean as Go's `strconv.ParseBool` reads it, by which Istio reads the annotation.
fn is_true(text: &str) -> bool {
    ["1", "t", "T", "true", "TRUE", "True"].contains(&text)
}

fn action(given: api::Action) -> Action {
    match given {
        api::Action::Allow => Action::Allow,
        api::Action::Deny => Action::Deny,
        api::Action::Audit => Action::Audit,
        api::Action::Custom => Action::Custom,
    }
}

fn rule(given: api::Rule, settings: &Settings) -> Rule {
    let from = given.from.into_iter().filter_map(|it| it.source);
    let to = given.to.into_iter().filter_map(|it| it.operation);
    let when = given.when.into_iter().map(|it| Condition {
        values: of_condition(&it.key, it.values, settings),
        not_values: of_condition(&it.key, it.not_values, settings),
        key: it.key,
    });
    Rule {
        from: from.map(|it| source(it, settings)).collect(),
        to: to.map(operation).collect(),
        when: when.collect(),
    }
}

fn of_condition(key: &str, values: Vec<String>, settings: &Settings) -> Vec<String> {
    match key {
        "source.principal" => principals(values, settings),
        _ => values,
    }
}

fn source(given: api::Source, settings: &Settings) -> Source {
    Source {
        principals: principals(given.principals, settings),
        not_principals: principals(given.not_principals, settings),
        request_principals: given.request_principals,
        not_request_principals: given.not_request_principals,
        namespaces: given.namespaces,
        not_namespaces: given.not_namespaces,
        service_accounts: given.service_accounts,
        not_service_accounts: given.not_service_accounts,
        ip_blocks: given.ip_blocks,
        not_ip_blocks: given.not_ip_blocks,
        remote_ip_blocks: given.remote_ip_blocks,
        not_remote_ip_blocks: given.not_remote_ip_blocks,
    }
}

/// A whole principal of our own trust domain, by whichever of its names, or of `cluster.local`, which stands for it, is
/// meant by all names (Istio's trust domain migration). Of names with `*` in front those are left to the `*` that it fits;
/// `*` alone fits all.
fn principals(given: Vec<String>, settings: &Settings) -> Vec<String> {
    given.into_iter().flat_map(|text| by_all_names(text, settings)).collect()
}

fn by_all_names(text: String, settings: &Settings) -> Vec<String> {
    let names = || {
        std::iter::once(&settings.trust_domain)
            .chain(&settings.trust_domain_aliases)
            .map(TrustDomain::as_str)
    };
    let Some((domain, rest)) = text.split_once('/') else { return vec![text] };
    let fits = |name: &str| match domain.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => name == domain,
    };
    let is_ours = domain != "*" && (domain == ANY_MESH || names().any(fits));
    if rest.split('/').count() != 4 || !is_ours {
        return vec![text];
    }
    let mut all: Vec<String> = Vec::new();
    for name in names() {
        let principal = if fits(name) { text.clone() } else { format!("{name}/{rest}") };
        if !all.contains(&principal) {
            all.push(principal);
        }
    }
    all
}

fn operation(given: api::Operation) -> Operation {
    Operation {
        hosts: given.hosts,
        not_hosts: given.not_hosts,
        ports: given.ports,
        not_ports: given.not_ports,
        methods: given.methods,
        not_methods: given.not_methods,
        paths: given.paths,
        not_paths: given.not_paths,
    }
}

#[cfg(test)]
mod tests;
