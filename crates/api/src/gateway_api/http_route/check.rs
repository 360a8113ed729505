//! What holds for routes of requests.

use super::{
    HttpFilter, HttpFilterType, HttpMatch, HttpRouteSpec, HttpRule, HttpTimeouts, PathMatch,
    PathMatchType, TextMatchType,
};
use crate::gateway_api::filter::PathModifierType;
use crate::gateway_api::reference::{check_parents, check_weights};
use crate::gateway_api::tls_route::check_hostnames;
use crate::metadata::ObjectMeta;
use crate::object::Spec;
use crate::refuse::{Path, Report};
use crate::values::parse_gateway_duration;

impl Spec for HttpRouteSpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        check_parents(&self.parent_refs, at, report);
        check_hostnames(&self.hostnames, at, report);
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&at.field("rules").item(index), report);
        }
    }
}

impl HttpRule {
    fn check(&self, at: &Path, report: &mut Report) {
        for (index, it) in self.matches.iter().enumerate() {
            it.check(&at.field("matches").item(index), report);
        }
        check_filters(&self.filters, &at.field("filters"), report);
        let at_backends = at.field("backendRefs");
        for (index, backend) in self.backend_refs.iter().enumerate() {
            let at = at_backends.item(index);
            backend.backend.check(&at, report);
            check_filters(&backend.filters, &at.field("filters"), report);
        }
        check_weights(self.backend_refs.iter().map(|it| it.weight), &at_backends, report);
        let redirects = self.filters.iter().any(|it| it.r#type == HttpFilterType::RequestRedirect);
        if redirects && !self.backend_refs.is_empty() {
            let message = "cannot stand with a redirect: nobody is called";
            report.error(at_backends, message).on_key();
        }
        self.check_prefixes(at, report);
        if let Some(timeouts) = &self.timeouts {
            timeouts.check(&at.field("timeouts"), report);
        }
    }

    /// A part of the path can be replaced where a part is matched.
    fn check_prefixes(&self, at: &Path, report: &mut Report) {
        let replaces = |filter: &HttpFilter| {
            let rewrite = filter.url_rewrite.as_ref().and_then(|it| it.path.as_ref());
            let redirect = filter.request_redirect.as_ref().and_then(|it| it.path.as_ref());
            let path = rewrite.or(redirect);
            path.is_some_and(|it| it.r#type == PathModifierType::ReplacePrefixMatch)
        };
        let is_prefix = |it: &HttpMatch| {
            let kind = it.path.as_ref().and_then(|path| path.r#type);
            kind.is_none_or(|kind| kind == PathMatchType::PathPrefix)
        };
        let Some(index) = self.filters.iter().position(replaces) else {
            return;
        };
        let fits = match self.matches.as_slice() {
            [] => true,
            [one] => is_prefix(one),
            _ => false,
        };
        if !fits {
            let message = "ReplacePrefixMatch needs exactly one match, by PathPrefix";
            report.error(at.field("filters").item(index), message);
        }
    }
}

impl HttpMatch {
    fn check(&self, at: &Path, report: &mut Report) {
        if let Some(path) = &self.path {
            path.check(&at.field("path"), report);
        }
        for (index, header) in self.headers.iter().enumerate() {
            let at = at.field("headers").item(index);
            let same = |it: &super::HeaderMatch| it.name.eq_ignore_ascii_case(&header.name);
            if let Some(first) = self.headers[..index].iter().position(same) {
                let message = format!("`{}` is header [{first}] already", header.name);
                report.error(at.field("name"), message);
            }
            check_pattern(header.r#type, &header.value, &at, report);
        }
        for (index, parameter) in self.query_params.iter().enumerate() {
            let at = at.field("queryParams").item(index);
            let same = |it: &super::QueryParamMatch| it.name == parameter.name;
            if let Some(first) = self.query_params[..index].iter().position(same) {
                let message = format!("`{}` is parameter [{first}] already", parameter.name);
                report.error(at.field("name"), message);
            }
            check_pattern(parameter.r#type, &parameter.value, &at, report);
        }
    }
}

impl PathMatch {
    fn check(&self, at: &Path, report: &mut Report) {
        let at = at.field("value");
        let value = self.value.as_deref().unwrap_or("/");
        if self.r#type == Some(PathMatchType::RegularExpression) {
            check_regex(value, at, report);
            return;
        }
        if !value.starts_with('/') {
            report.error(at, format!("`{value}` must begin with `/`"));
            return;
        }
        for part in ["//", "/./", "/../", "%2f", "%2F", "#"] {
            if value.contains(part) {
                report.error(at.clone(), format!("`{value}` must not contain `{part}`"));
            }
        }
        if value.ends_with("/..") || value.ends_with("/.") {
            report.error(at, format!("`{value}` must not end with `.` or `..`"));
        }
    }
}

fn check_pattern(kind: Option<TextMatchType>, value: &str, at: &Path, report: &mut Report) {
    if kind == Some(TextMatchType::RegularExpression) {
        check_regex(value, at.field("value"), report);
    }
}

/// Checks a regular expression.
pub(in super::super) fn check_regex(text: &str, at: Path, report: &mut Report) {
    if let Some(problem) = crate::values::regex_problem(text) {
        report.error(at, problem);
    }
}

impl HttpTimeouts {
    fn check(&self, at: &Path, report: &mut Report) {
        let read = |text: &Option<String>| parse_gateway_duration(text.as_deref()?).ok();
        if let (Some(all), Some(one)) = (read(&self.request), read(&self.backend_request))
            && !all.is_zero()
            && one > all
        {
            report.error(at.field("backendRequest"), "is longer than `request`, which holds it");
        }
    }
}

fn check_filters(filters: &[HttpFilter], at: &Path, report: &mut Report) {
    use HttpFilterType::{ExtensionRef, ExternalAuth, RequestMirror, RequestRedirect, UrlRewrite};
    for (index, filter) in filters.iter().enumerate() {
        let at = at.item(index);
        let kind = filter.r#type;
        let can_repeat = [RequestMirror, ExtensionRef, ExternalAuth].contains(&kind);
        let first = filters[..index].iter().position(|it| it.r#type == kind);
        if let Some(first) = first.filter(|_| !can_repeat) {
            report.error(at.field("type"), format!("is the type of filter [{first}] already"));
        }
        filter.check(&at, report);
    }
    let has = |kind: HttpFilterType| filters.iter().any(|it| it.r#type == kind);
    if has(RequestRedirect) && has(UrlRewrite) {
        report.error(at.clone(), "RequestRedirect and URLRewrite cannot stand together");
    }
}

impl HttpFilter {
    fn check(&self, at: &Path, report: &mut Report) {
        use HttpFilterType as Type;
        let fields = [
            (
                Type::RequestHeaderModifier,
                "requestHeaderModifier",
                self.request_header_modifier.is_some(),
            ),
            (
                Type::ResponseHeaderModifier,
                "responseHeaderModifier",
                self.response_header_modifier.is_some(),
            ),
            (Type::RequestMirror, "requestMirror", self.request_mirror.is_some()),
            (Type::RequestRedirect, "requestRedirect", self.request_redirect.is_some()),
            (Type::UrlRewrite, "urlRewrite", self.url_rewrite.is_some()),
            (Type::Cors, "cors", self.cors.is_some()),
            (Type::ExternalAuth, "externalAuth", self.external_auth.is_some()),
            (Type::ExtensionRef, "extensionRef", self.extension_ref.is_some()),
        ];
        for (kind, field, is_set) in fields {
            if kind == self.r#type && !is_set {
                report.error(at.field(field), "missing; the filter's type needs it");
            } else if kind != self.r#type && is_set {
                let message = "does not belong to the filter's type";
                report.error(at.field(field), message).on_key();
            }
        }
        for (field, headers) in [
            ("requestHeaderModifier", &self.request_header_modifier),
            ("responseHeaderModifier", &self.response_header_modifier),
        ] {
            if let Some(headers) = headers {
                headers.check(&at.field(field), report);
            }
        }
        if let Some(mirror) = &self.request_mirror {
            mirror.check(&at.field("requestMirror"), report);
        }
        if let Some(redirect) = &self.request_redirect {
            redirect.check(&at.field("requestRedirect"), report);
        }
        if let Some(path) = self.url_rewrite.as_ref().and_then(|it| it.path.as_ref()) {
            path.check(&at.field("urlRewrite").field("path"), report);
        }
        if let Some(cors) = &self.cors {
            cors.check(&at.field("cors"), report);
        }
        if let Some(auth) = &self.external_auth {
            auth.check(&at.field("externalAuth"), report);
        }
    }
}
