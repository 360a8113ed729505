//! What holds for rules for requests.

use meltemi_policy::route::{check_replacement, is_answer_status};

use super::{
    CorsPolicy, Delegate, DirectResponse, HeaderOperations, Headers, HttpRoute, Path, Redirect,
    RegexRewrite, Report, Retry, Rewrite, at_most_one, check_weights, is_header_name,
};
use crate::refuse::{check_header_value, check_target_text};

/// Envoy's conditions for another attempt, beside numbers of statuses.
const RETRY_ON: [&str; 17] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
    "unknown",
];

/// Warns of rules after one that takes every request.
pub(in super::super) fn check_unreachable(routes: &[HttpRoute], at: &Path, report: &mut Report) {
    let is_all = |route: &HttpRoute| {
        route.matches.is_empty() || route.matches.iter().any(super::HttpMatch::is_any)
    };
    let Some(first) = routes.iter().position(is_all) else {
        return;
    };
    for index in first + 1..routes.len() {
        let message = format!("never counts: [{first}] before it takes every request");
        report.warn(at.item(index), message).suggest(format!("move [{first}] to the end"));
    }
}

impl HttpRoute {
    /// `is_delegate` says that others delegate to this one.
    pub(in super::super) fn check(&self, is_delegate: bool, at: &Path, report: &mut Report) {
        self.check_action(is_delegate, at, report);
        for (index, it) in self.matches.iter().enumerate() {
            it.check(&at.field("match").item(index), report);
        }
        self.check_destinations(at, report);
        if let Some(redirect) = &self.redirect {
            redirect.check(&at.field("redirect"), report);
        }
        if let Some(answer) = &self.direct_response {
            answer.check(&at.field("directResponse"), report);
        }
        if let Some(delegate) = &self.delegate {
            delegate.check(&at.field("delegate"), report);
        }
        if let Some(rewrite) = &self.rewrite {
            rewrite.check(&at.field("rewrite"), report);
        }
        if let Some(retries) = &self.retries {
            retries.check(&at.field("retries"), report);
        }
        if let Some(fault) = &self.fault {
            fault.check(&at.field("fault"), report);
        }
        if let Some(cors) = &self.cors_policy {
            cors.check(&at.field("corsPolicy"), report);
        }
        if let Some(headers) = &self.headers {
            headers.check(&at.field("headers"), report);
        }
        self.check_authority(at, report);
        if self.timeout.is_some_and(|it| !it.0.is_zero() && it.0.as_nanos() < 1_000_000) {
            report.error(at.field("timeout"), "must be at least 1ms, or 0s for none");
        }
    }

    /// The host that is asked is changed in one place alone (Istio's `validateAuthorityRewrite`).
    fn check_authority(&self, at: &Path, report: &mut Report) {
        let mut is_changed = self.rewrite.as_ref().is_some_and(|it| !it.authority.is_empty());
        let Some(request) = self.headers.as_ref().and_then(|it| it.request.as_ref()) else {
            return;
        };
        for (field, headers) in [("set", &request.set), ("add", &request.add)] {
            for (name, value) in headers.iter().filter(|(name, _)| is_authority(name)) {
                if is_changed {
                    let message = "the host that is asked is changed in another place already";
                    let at = at.field("headers").field("request").field(field).field(name);
                    report.error(at, message).on_key();
                }
                is_changed |= !value.is_empty();
            }
        }
    }

    /// A rule does one thing.
    fn check_action(&self, is_delegate: bool, at: &Path, report: &mut Report) {
        let actions = [
            ("route", !self.route.is_empty()),
            ("redirect", self.redirect.is_some()),
            ("directResponse", self.direct_response.is_some()),
            ("delegate", self.delegate.is_some()),
        ];
        if actions.iter().all(|(_, is_set)| !is_set) {
            let message =
                "does nothing: one of `route`, `redirect`, `directResponse`, `delegate` is needed";
            report.error(at.clone(), message);
        }
        at_most_one(&actions, at, report);
        if is_delegate && self.delegate.is_some() {
            let message = "one without `hosts`, that others delegate to, cannot delegate further";
            report.error(at.field("delegate"), message);
        }
        if self.route.is_empty() && (self.redirect.is_some() || self.direct_response.is_some()) {
            let others = [
                ("rewrite", self.rewrite.is_some()),
                ("fault", self.fault.is_some() && self.redirect.is_some()),
            ];
            for (field, _) in others.iter().filter(|(_, is_set)| *is_set) {
                let message = "has a meaning with `route` alone: nobody is called here";
                report.error(at.field(field), message).on_key();
            }
        }
    }

    fn check_destinations(&self, at: &Path, report: &mut Report) {
        let at_route = at.field("route");
        for (index, route) in self.route.iter().enumerate() {
            let at = at_route.item(index);
            route.destination.check(&at.field("destination"), report);
            if let Some(headers) = &route.headers {
                headers.check(&at.field("headers"), report);
            }
        }
        let weights: Vec<i64> = self.route.iter().map(|route| i64::from(route.weight)).collect();
        check_weights(&weights, &at_route, report);
        let copies = [("mirror", self.mirror.is_some()), ("mirrors", !self.mirrors.is_empty())];
        at_most_one(&copies, at, report);
        if let Some(mirror) = &self.mirror {
            mirror.check(&at.field("mirror"), report);
        }
        for (index, mirror) in self.mirrors.iter().enumerate() {
            let at = at.field("mirrors").item(index).field("destination");
            mirror.destination.check(&at, report);
        }
    }
}

impl DirectResponse {
    fn check(&self, at: &Path, report: &mut Report) {
        if !u16::try_from(self.status).is_ok_and(is_answer_status) {
            let message = format!("{} is not a status that ends an exchange", self.status);
            report.error(at.field("status"), message).suggest("200 to 599");
        }
        if let Some(body) = &self.body {
            let forms = [("string", body.string.is_some()), ("bytes", body.bytes.is_some())];
            at_most_one(&forms, &at.field("body"), report);
        }
    }
}

impl Redirect {
    fn check(&self, at: &Path, report: &mut Report) {
        check_target_text(&self.uri, at.field("uri"), report);
        check_target_text(&self.authority, at.field("authority"), report);
        let ports = [("port", self.port.is_some()), ("derivePort", self.derive_port.is_some())];
        at_most_one(&ports, at, report);
        let has_port = ports.iter().any(|(_, is_set)| *is_set);
        if !has_port && [&self.uri, &self.authority, &self.scheme].iter().all(|it| it.is_empty()) {
            let message = "leads to where it came from: say `uri`, `authority`, `scheme` or `port`";
            report.error(at.clone(), message);
        }
        if !["", "http", "https"].contains(&self.scheme.as_str()) {
            let message = format!("`{}` is none of `http`, `https`", self.scheme);
            report.error(at.field("scheme"), message);
        }
    }
}

impl Delegate {
    fn check(&self, at: &Path, report: &mut Report) {
        if self.name.is_empty() {
            report.error(at.field("name"), "missing; it says which virtual service is meant");
        }
        if !self.namespace.is_empty() && !meltemi_names::is_dns_label(&self.namespace) {
            let message = format!("`{}` is not a namespace's name", self.namespace);
            report.error(at.field("namespace"), message);
        }
    }
}

impl Rewrite {
    fn check(&self, at: &Path, report: &mut Report) {
        let paths =
            [("uri", !self.uri.is_empty()), ("uriRegexRewrite", self.uri_regex_rewrite.is_some())];
        at_most_one(&paths, at, report);
        if self.authority.is_empty() && paths.iter().all(|(_, is_set)| !is_set) {
            report
                .error(at.clone(), "changes nothing: say `uri`, `uriRegexRewrite` or `authority`");
        }
        check_target_text(&self.uri, at.field("uri"), report);
        check_target_text(&self.authority, at.field("authority"), report);
        if let Some(parts) = &self.uri_regex_rewrite {
            parts.check(&at.field("uriRegexRewrite"), report);
        }
    }
}

impl RegexRewrite {
    fn check(&self, at: &Path, report: &mut Report) {
        if self.pattern.is_empty() {
            let message = "missing; it says which parts of the path are changed";
            report.error(at.field("match"), message);
            return;
        }
        check_target_text(&self.rewrite, at.field("rewrite"), report);
        // What is wrong with the expression itself its form has told.
        if let Err(error) = check_replacement(&self.pattern, &self.rewrite) {
            report.error(at.field("rewrite"), error.to_string());
        }
    }
}

impl Retry {
    fn check(&self, at: &Path, report: &mut Report) {
        let words = self.retry_on.split(',').map(str::trim).filter(|word| !word.is_empty());
        for word in words {
            let is_status = word.parse::<u16>().is_ok_and(|it| (100..600).contains(&it));
            if is_status || RETRY_ON.contains(&word) {
                continue;
            }
            let message = format!("`{word}` is not a condition for another attempt");
            let problem = report.error(at.field("retryOn"), message);
            match crate::refuse::nearest(word, RETRY_ON) {
                Some(near) => problem.suggest(format!("did you mean `{near}`?")),
                None => problem.suggest("as in `connect-failure,refused-stream,unavailable,503`"),
            };
        }
        let has_more = self.per_try_timeout.is_some() || !self.retry_on.is_empty();
        if self.attempts == 0 && has_more {
            let message = "0 attempts switch retries off, so that the rest has no effect";
            report.warn(at.field("attempts"), message);
        }
    }
}

impl CorsPolicy {
    fn check(&self, at: &Path, report: &mut Report) {
        for (index, origin) in self.allow_origins.iter().enumerate() {
            origin.check(&at.field("allowOrigins").item(index), report);
        }
        for (field, headers) in
            [("allowHeaders", &self.allow_headers), ("exposeHeaders", &self.expose_headers)]
        {
            for (index, header) in headers.iter().enumerate() {
                if !is_header_name(header) {
                    let message = format!("`{header}` is not the name of a header");
                    report.error(at.field(field).item(index), message);
                }
            }
        }
        for (index, method) in self.allow_methods.iter().enumerate() {
            if !is_header_name(method) {
                let message = format!("`{method}` is not a method");
                report.error(at.field("allowMethods").item(index), message);
            }
        }
    }
}

impl Headers {
    fn check(&self, at: &Path, report: &mut Report) {
        for (field, side) in [("request", &self.request), ("response", &self.response)] {
            if let Some(side) = side {
                side.check(&at.field(field), report);
                side.check_pseudo(field == "request", &at.field(field), report);
            }
        }
    }
}

/// Whether the name is one of those that Istio takes for the host that is asked.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

impl HeaderOperations {
    /// Of what stands for the first line of a message a rule changes the host that is asked, and nothing else (Istio's
    /// `ValidateHTTPHeaderOperationName` and `ValidateHTTPHeaderWithAuthorityOperationName`).
    fn check_pseudo(&self, is_request: bool, at: &Path, report: &mut Report) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            for name in headers.keys() {
                let stands_for_line = name.starts_with(':') || name.eq_ignore_ascii_case("host");
                if stands_for_line && !(is_request && is_authority(name)) {
                    let message = format!("`{name}` cannot be changed");
                    report.error(at.field(field).field(name), message).on_key();
                }
            }
        }
        for (index, name) in self.remove.iter().enumerate() {
            if name.eq_ignore_ascii_case("host") {
                report.error(at.field("remove").item(index), format!("`{name}` cannot be removed"));
            }
        }
    }

    fn check(&self, at: &Path, report: &mut Report) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            for (name, value) in headers {
                let at = at.field(field).field(name);
                if !is_header_name(name.strip_prefix(':').unwrap_or(name)) {
                    report
                        .error(at.clone(), format!("`{name}` is not the name of a header"))
                        .on_key();
                }
                check_header_value(value, at, report);
            }
        }
    }
}
