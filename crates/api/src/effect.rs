//! Which fields of kinds that have an effect have none themselves: they are checked and stored, and whoever writes one
//! is told. `docs/compatibility.md` lists every field; a test holds the two together.

use meltemi_names::variables;
use serde_json::Value;

use crate::Kind;
use crate::refuse::Path;

/// What is said of what has no effect.
pub const MESSAGE: &str = "accepted and stored, but this version does not act on it";

/// A field, `[]` standing for the items of a list and `*` for the keys of a map; with a part of it alone, all below.
type Field = &'static str;

const VIRTUAL_SERVICE: &[Field] = &["spec.tcp[].match[].sourceSubnet"];

/// Where a destination rule has a traffic policy.
const POLICIES: &[Field] = &[
    "spec.trafficPolicy",
    "spec.trafficPolicy.portLevelSettings[]",
    "spec.subsets[].trafficPolicy",
    "spec.subsets[].trafficPolicy.portLevelSettings[]",
];

const SIDECAR: &[Field] = &[
    "spec.egress[].port.targetPort",
    "spec.inboundConnectionPool.http.h2UpgradePolicy",
    "spec.inboundConnectionPool.http.maxRetries",
    "spec.ingress[].connectionPool.http.h2UpgradePolicy",
    "spec.ingress[].connectionPool.http.maxRetries",
    "spec.ingress[].port.targetPort",
    "spec.ingress[].tls.caCertCredentialName",
    "spec.ingress[].tls.credentialName",
    "spec.ingress[].tls.credentialNames",
    "spec.ingress[].tls.httpsRedirect",
];

/// Routes of the Gateway API are for calls within the mesh: there are no gateways.
const ROUTE: &[Field] = &[
    "spec.hostnames",
    "spec.parentRefs[].sectionName",
    "spec.rules[].sessionPersistence",
    "spec.useDefaultGateways",
];

/// Requests that such a filter is for get an error, since they must not pass without it.
const FILTERS: &[Field] = &["externalAuth", "extensionRef"];

/// A backend's filters can change headers and nothing else; those who would be called get no requests.
const BACKEND_FILTERS: &[Field] =
    &["cors", "externalAuth", "extensionRef", "requestMirror", "requestRedirect", "urlRewrite"];

/// Fields that have no effect either, and need none: names for people, and what follows from other fields. Nobody is
/// warned of them.
const HARMLESS: &[(Kind, Field)] = &[
    (Kind::ServiceEntry, "spec.location"),
    (Kind::HttpRoute, "spec.rules[].name"),
    (Kind::GrpcRoute, "spec.rules[].name"),
];

/// Whether a field of a kind has an effect; a field is written as in `docs/compatibility.md`.
pub fn has_effect(kind: Kind, field: &str) -> bool {
    let is_harmless = |(of, harmless): &(Kind, Field)| *of == kind && is_within(field, harmless);
    kind.has_effect()
        && !HARMLESS.iter().any(is_harmless)
        && !without_effect(kind).any(|without| is_within(field, &without))
}

fn is_within(field: &str, part: &str) -> bool {
    field.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn without_effect(kind: Kind) -> impl Iterator<Item = String> {
    let own: &[Field] = match kind {
        Kind::VirtualService => VIRTUAL_SERVICE,
        Kind::Sidecar => SIDECAR,
        // There is one binary, and no image to choose.
        Kind::ProxyConfig => &["spec.image"],
        Kind::HttpRoute | Kind::GrpcRoute => ROUTE,
        _ => &[],
    };
    let filters = match kind {
        Kind::HttpRoute | Kind::GrpcRoute => {
            &[("filters", FILTERS), ("backendRefs[].filters", BACKEND_FILTERS)][..]
        }
        _ => &[],
    };
    let of_filters = filters.iter().flat_map(|(at, fields)| {
        fields.iter().map(move |field| format!("spec.rules[].{at}[].{field}"))
    });
    own.iter().map(|field| (*field).to_owned()).chain(of_filters)
}

/// The fields of an object that are there and have no effect.
pub fn fields_without_effect(kind: Kind, object: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    for field in without_effect(kind) {
        find(object, &field, Path::root(), &mut found);
    }
    if kind == Kind::DestinationRule && object["spec"]["workloadSelector"].is_null() {
        // Without a selector Secrets are for gateways, as in Istio.
        for at in POLICIES {
            find(object, &format!("{at}.tls.credentialName"), Path::root(), &mut found);
        }
    }
    if kind == Kind::VirtualService {
        find_conditions(object, &mut found);
    }
    if matches!(kind, Kind::HttpRoute | Kind::GrpcRoute) {
        find_parents(object, &mut found);
    }
    if kind == Kind::ProxyConfig {
        find_variables(object, &mut found);
    }
    found
}

/// Conditions of retries that nothing meets: `retriable-headers` stands for a list of headers that Istio's API has no field
/// for (Envoy's `RetryPolicy.retriable_headers`).
fn find_conditions(object: &Value, found: &mut Vec<Path>) {
    let routes = object.pointer("/spec/http").and_then(Value::as_array);
    for (index, route) in routes.into_iter().flatten().enumerate() {
        let text = route.pointer("/retries/retryOn").and_then(Value::as_str).unwrap_or_default();
        let mut words = text.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_some() && words.all(|word| word == "retriable-headers") {
            found
                .push(Path::of("spec").field("http").item(index).field("retries").field("retryOn"));
        }
    }
}

/// Variables that a proxy does not go by.
fn find_variables(object: &Value, found: &mut Vec<Path>) {
    let given = object.pointer("/spec/environmentVariables").and_then(Value::as_object);
    let names = given.into_iter().flat_map(|it| it.keys());
    let idle = names.filter(|name| !variables::ALL.contains(&name.as_str()));
    found.extend(idle.map(|name| Path::of("spec").field("environmentVariables").field(name)));
}

/// What a route is attached to and is neither a service nor a service entry.
fn find_parents(object: &Value, found: &mut Vec<Path>) {
    let parents = object.pointer("/spec/parentRefs").and_then(Value::as_array);
    for (index, parent) in parents.into_iter().flatten().enumerate() {
        let text = |field: &str| parent[field].as_str();
        let is_of_the_mesh = match text("group") {
            Some("") => text("kind") == Some("Service"),
            Some("networking.istio.io") => text("kind") == Some("ServiceEntry"),
            _ => false,
        };
        if !is_of_the_mesh {
            found.push(Path::of("spec").field("parentRefs").item(index));
        }
    }
}

/// Follows a field through an object, every item of lists.
fn find(value: &Value, field: &str, at: Path, found: &mut Vec<Path>) {
    if value.is_null() {
        return;
    }
    if field.is_empty() {
        return found.push(at);
    }
    if let Some(rest) = field.strip_prefix("[]") {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            find(item, rest, at.item(index), found);
        }
        return;
    }
    let field = field.strip_prefix('.').unwrap_or(field);
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (name, rest) = field.split_at(end);
    if let Some(value) = value.get(name) {
        find(value, rest, at.field(name), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(kind: Kind, object: &Value) -> Vec<String> {
        fields_without_effect(kind, object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_are_found_in_every_item() {
        let tls = json!({"mode": "SIMPLE", "credentialName": "a"});
        let rule = json!({"spec": {
            "trafficPolicy": {"tls": tls, "loadBalancer": {"simple": "RANDOM"}},
            "subsets": [
                {"trafficPolicy": {"tls": {"mode": "SIMPLE", "credentialName": null}}},
                {"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "tls": tls}]}},
            ],
        }});
        let expected = [
            "spec.trafficPolicy.tls.credentialName",
            "spec.subsets[1].trafficPolicy.portLevelSettings[0].tls.credentialName",
        ];
        assert_eq!(found(Kind::DestinationRule, &rule), expected);
        assert_eq!(found(Kind::ServiceEntry, &rule), [""; 0]);
        let mut selective = rule.clone();
        selective["spec"]["workloadSelector"] = json!({"matchLabels": {"app": "web"}});
        assert_eq!(found(Kind::DestinationRule, &selective), [""; 0]);
    }

    #[test]
    fn parents_that_are_not_of_the_mesh_are_found() {
        let route = json!({"spec": {"hostnames": ["a.com"], "parentRefs": [
            {"group": "", "kind": "Service", "name": "a"},
            {"name": "edge"},
            {"kind": "Service", "name": "a"},
            {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "a"},
        ]}});
        let expected = ["spec.hostnames", "spec.parentRefs[1]", "spec.parentRefs[2]"];
        assert_eq!(found(Kind::HttpRoute, &route), expected);
        assert_eq!(found(Kind::GrpcRoute, &route), expected);
    }

    #[test]
    fn retries_that_nothing_meets_are_found() {
        for (words, is_idle) in [
            ("retriable-headers", true),
            (" retriable-headers,", true),
            ("retriable-headers,5xx", false),
            ("503", false),
            ("", false),
        ] {
            let route = json!({"retries": {"attempts": 2, "retryOn": words}});
            let service = json!({"spec": {"http": [{}, route]}});
            let expected = if is_idle { vec!["spec.http[1].retries.retryOn"] } else { Vec::new() };
            assert_eq!(found(Kind::VirtualService, &service), expected, "{words}");
        }
    }

    #[test]
    fn variables_that_no_proxy_goes_by_are_found() {
        let config = json!({"spec": {"environmentVariables": {
            "MELTEMI_ACCESS_LOG": "text", "ISTIO_META_DNS_CAPTURE": "true", "MELTEMI_SERVICE": "a",
        }}});
        let expected = ["ISTIO_META_DNS_CAPTURE", "MELTEMI_SERVICE"]
            .map(|it| format!("spec.environmentVariables.{it}"));
        assert_eq!(found(Kind::ProxyConfig, &config), expected);
    }

    #[test]
    fn a_part_stands_for_all_below_it() {
        for (kind, field, expected) in [
            (Kind::VirtualService, "spec.http[].timeout", true),
            (Kind::VirtualService, "spec.tcp[].match[].sourceSubnet", false),
            (Kind::VirtualService, "spec.http[].name", true),
            (Kind::ServiceEntry, "spec.location", false),
            (Kind::ServiceEntry, "spec.locations", true),
            (Kind::DestinationRule, "spec.subsets[].trafficPolicy.tls.credentialName", true),
            (Kind::Sidecar, "spec.ingress[].port.number", true),
            (Kind::Sidecar, "spec.ingress[].tls.mode", true),
            (Kind::Sidecar, "spec.ingress[].tls.credentialNames[]", false),
            (Kind::Sidecar, "spec.egress[].hosts[]", true),
            (Kind::ProxyConfig, "spec.concurrency", true),
            (Kind::ProxyConfig, "spec.image.imageType", false),
            (Kind::HttpRoute, "spec.rules[].filters[].cors.maxAge", true),
            (Kind::HttpRoute, "spec.rules[].backendRefs[].filters[].cors.maxAge", false),
        ] {
            assert_eq!(has_effect(kind, field), expected, "{kind} {field}");
        }
    }
}
