//! A `GRPCRoute`: services and methods of gRPC are paths of HTTP.

use meltemi_api::Resource;
use meltemi_api::gateway_api::grpc_route::{
    GrpcBackendRef, GrpcFilter, GrpcFilterType, GrpcMatch, MethodMatch,
};
use meltemi_api::gateway_api::http_route::{
    HttpBackendRef, HttpFilter, HttpFilterType, TextMatchType,
};
use meltemi_policy::route::rule::{Action, HttpMatch, HttpRoute, PathMatch};
use serde_json::Value;

use super::{Reader, Rule, headers, number};
use crate::read::checked;
use crate::record::Object;
use crate::routes::{Rank, RouteRecord};
use crate::settings::Settings;

/// The status where a backend is missing, which a caller sees as `UNAVAILABLE` (`GRPCRouteRule.backendRefs`).
const MISSING: u16 = 503;
/// Every service, or every method.
const ANY: &str = "[^/]+";

/// Reads a route.
pub(in crate::read) fn read(
    object: &Object,
    resource: &Value,
    settings: &Settings,
) -> Result<RouteRecord, String> {
    let Resource::GrpcRoute(route) = checked(resource)? else {
        return Err("it is not a GRPCRoute".into());
    };
    let mut reader = Reader::new(object, settings, &route.metadata);
    reader.parents(&route.spec.parent_refs, resource);
    for (at, rule) in route.spec.rules.into_iter().enumerate() {
        let filters = filters(rule.filters);
        let backends: Vec<HttpBackendRef> = rule.backend_refs.into_iter().map(backend).collect();
        let matches = match rule.matches.as_slice() {
            [] => vec![one(&GrpcMatch::default())],
            given => given.iter().map(one).collect(),
        };
        let missing_status = Some(MISSING);
        let given = Rule {
            name: rule.name.as_deref(),
            matches,
            filters: &filters,
            backends: &backends,
            base: HttpRoute { missing_status, ..HttpRoute::of(Action::Nowhere) },
        };
        reader.rule(at, given);
    }
    reader.finish()
}

fn backend(given: GrpcBackendRef) -> HttpBackendRef {
    let GrpcBackendRef { backend, weight, filters } = given;
    HttpBackendRef { backend, weight, filters: self::filters(filters) }
}

/// The filters as an `HTTPRoute` has them.
fn filters(given: Vec<GrpcFilter>) -> Vec<HttpFilter> {
    let read = |it: GrpcFilter| HttpFilter {
        r#type: match it.r#type {
            GrpcFilterType::RequestHeaderModifier => HttpFilterType::RequestHeaderModifier,
            GrpcFilterType::ResponseHeaderModifier => HttpFilterType::ResponseHeaderModifier,
            GrpcFilterType::RequestMirror => HttpFilterType::RequestMirror,
            GrpcFilterType::ExtensionRef => HttpFilterType::ExtensionRef,
        },
        request_header_modifier: it.request_header_modifier,
        response_header_modifier: it.response_header_modifier,
        request_mirror: it.request_mirror,
        extension_ref: it.extension_ref,
        request_redirect: None,
        url_rewrite: None,
        cors: None,
        external_auth: None,
    };
    given.into_iter().map(read).collect()
}

/// The longer service goes first, then the longer method, then more headers; of kinds of matches, exact ones.
fn one(given: &GrpcMatch) -> (Rank, HttpMatch) {
    let MethodMatch { r#type, service, method } = given.method.clone().unwrap_or_default();
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (service, method) = (filled(service), filled(method));
    let is_exact = r#type != Some(TextMatchType::RegularExpression);
    let length = |text: &Option<String>| number(text.as_deref().unwrap_or_default().len());
    let rank = [
        match (&service, &method) {
            (None, None) => 0,
            _ => 1 + u32::from(is_exact),
        },
        length(&service),
        length(&method),
        number(given.headers.len()),
        0,
    ];
    let uri = path(is_exact, service.as_deref(), method.as_deref());
    (rank, HttpMatch { uri, headers: headers(&given.headers), ..HttpMatch::default() })
}

/// The paths of calls: `/SERVICE/METHOD`.
fn path(is_exact: bool, service: Option<&str>, method: Option<&str>) -> Option<PathMatch> {
    Some(match (is_exact, service, method) {
        (_, None, None) => return None,
        (true, Some(service), Some(method)) => PathMatch::Exact(format!("/{service}/{method}")),
        (true, Some(service), None) => PathMatch::Prefix(format!("/{service}/")),
        // A name of protobuf has nothing that an expression takes otherwise than as it stands.
        (true, None, Some(method)) => PathMatch::Regex(format!("/{ANY}/{method}")),
        (false, service, method) => {
            let group = |text: Option<&str>| format!("(?:{})", text.unwrap_or(ANY));
            PathMatch::Regex(format!("/{}/{}", group(service), group(method)))
        }
    })
}
