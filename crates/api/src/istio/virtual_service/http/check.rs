//! What holds for rules for requests.

use super::{
    CorsPolicy, Delegate, HeaderOperations, Headers, HttpRoute, Path, Redirect, Report, Retry,
    Rewrite, at_most_one, check_weights, is_header_name,
};

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
        if let Some(body) = self.direct_response.as_ref().and_then(|it| it.body.as_ref()) {
            let forms = [("string", body.string.is_some()), ("bytes", body.bytes.is_some())];
            at_most_one(&forms, &at.field("directResponse").field("body"), report);
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
        if self.timeout.is_some_and(|it| !it.0.is_zero() && it.0.as_nanos() < 1_000_000) {
            report.error(at.field("timeout"), "must be at least 1ms, or 0s for none");
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

impl Redirect {
    fn check(&self, at: &Path, report: &mut Report) {
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
        if self.uri_regex_rewrite.as_ref().is_some_and(|it| it.pattern.is_empty()) {
            let at = at.field("uriRegexRewrite").field("match");
            report.error(at, "missing; it says which parts of the path are changed");
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
            }
        }
    }
}

impl HeaderOperations {
    fn check(&self, at: &Path, report: &mut Report) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            for (name, value) in headers {
                let at = at.field(field).field(name);
                if !is_header_name(name.strip_prefix(':').unwrap_or(name)) {
                    report
                        .error(at.clone(), format!("`{name}` is not the name of a header"))
                        .on_key();
                }
                if value.contains(['\r', '\n', '\0']) {
                    report.error(at, "a header's value cannot have line breaks");
                }
            }
        }
    }
}
