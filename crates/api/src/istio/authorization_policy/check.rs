//! What holds for rules of authorization policies.

use meltemi_names::is_dns_subdomain;

use super::{Condition, Operation, Rule, Source};
use crate::refuse::{Path, Report};

/// Attributes that conditions may ask for.
const KEYS: [&str; 11] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
];
/// Attributes with a name in brackets.
const NAMED_KEYS: [&str; 2] = ["request.headers", "request.auth.claims"];
/// Attributes of filters.
const FILTERS: &str = "experimental.envoy.filters.";

impl Rule {
    pub(super) fn check(&self, at: &Path, report: &mut Report) {
        for (index, from) in self.from.iter().enumerate() {
            let at = at.field("from").item(index).field("source");
            match &from.source {
                Some(source) => source.check(&at, report),
                None => missing(&at, "`from` without a source matches nothing", report),
            }
        }
        for (index, to) in self.to.iter().enumerate() {
            let at = at.field("to").item(index).field("operation");
            match &to.operation {
                Some(operation) => operation.check(&at, report),
                None => missing(&at, "`to` without an operation matches nothing", report),
            }
        }
        for (index, condition) in self.when.iter().enumerate() {
            condition.check(&at.field("when").item(index), report);
        }
    }
}

fn missing(at: &Path, why: &str, report: &mut Report) {
    report.error(at.clone(), format!("missing; {why}"));
}

impl Source {
    fn check(&self, at: &Path, report: &mut Report) {
        if *self == Self::default() {
            missing(at, "a source says at least one thing of a caller", report);
        }
        let texts = [
            ("principals", &self.principals),
            ("notPrincipals", &self.not_principals),
            ("requestPrincipals", &self.request_principals),
            ("notRequestPrincipals", &self.not_request_principals),
            ("namespaces", &self.namespaces),
            ("notNamespaces", &self.not_namespaces),
        ];
        check_texts(&texts, at, report);
        let accounts = [
            ("serviceAccounts", &self.service_accounts),
            ("notServiceAccounts", &self.not_service_accounts),
        ];
        let has_accounts = accounts.iter().any(|(_, list)| !list.is_empty());
        let others = [&texts[0], &texts[1], &texts[4], &texts[5]];
        if let Some((field, _)) = others.iter().find(|(_, list)| has_accounts && !list.is_empty()) {
            let message = "cannot stand beside `serviceAccounts`, which say the same";
            report.error(at.field(field), message).on_key();
        }
        for (field, list) in accounts {
            for (index, account) in list.iter().enumerate() {
                let parts: Vec<_> = account.split('/').collect();
                if parts.len() > 2 || !parts.iter().all(|part| is_dns_subdomain(part)) {
                    let message =
                        format!("`{account}` is not a service account: write `[NAMESPACE/]NAME`");
                    report.error(at.field(field).item(index), message);
                }
            }
        }
    }
}

impl Operation {
    fn check(&self, at: &Path, report: &mut Report) {
        if *self == Self::default() {
            missing(at, "an operation says at least one thing of a request", report);
        }
        let texts = [
            ("hosts", &self.hosts),
            ("notHosts", &self.not_hosts),
            ("methods", &self.methods),
            ("notMethods", &self.not_methods),
            ("paths", &self.paths),
            ("notPaths", &self.not_paths),
        ];
        check_texts(&texts, at, report);
        for (field, list) in [("ports", &self.ports), ("notPorts", &self.not_ports)] {
            for (index, port) in list.iter().enumerate() {
                if let Some(problem) = port_problem(port) {
                    report.error(at.field(field).item(index), problem);
                }
            }
        }
    }
}

impl Condition {
    fn check(&self, at: &Path, report: &mut Report) {
        if let Some(problem) = key_problem(&self.key) {
            let problem = report.error(at.field("key"), problem);
            let known = KEYS.iter().chain(&NAMED_KEYS).copied();
            if let Some(near) = crate::refuse::nearest(&self.key, known) {
                problem.suggest(format!("did you mean `{near}`?"));
            }
        }
        if self.values.is_empty() && self.not_values.is_empty() {
            missing(&at.field("values"), "a condition has `values` or `notValues`", report);
        }
        for (field, list) in [("values", &self.values), ("notValues", &self.not_values)] {
            for (index, value) in list.iter().enumerate() {
                let problem = match self.key.as_str() {
                    "destination.port" => port_problem(value),
                    "source.ip" | "remote.ip" | "destination.ip" => {
                        (!crate::values::is_cidr(value))
                            .then(|| format!("`{value}` is not an IP address or a block of them"))
                    }
                    _ => None,
                };
                if let Some(problem) = problem {
                    report.error(at.field(field).item(index), problem);
                }
            }
        }
    }
}

fn check_texts(fields: &[(&str, &Vec<String>)], at: &Path, report: &mut Report) {
    for (field, list) in fields {
        for (index, text) in list.iter().enumerate() {
            let at = at.field(field).item(index);
            if text.is_empty() {
                report.error(at, "empty; it matches nothing");
            } else if field.ends_with("aths") && text.contains("{*") {
                if let Some(problem) = template_problem(text) {
                    report.error(at, problem);
                }
            } else if is_inner_wildcard(text) {
                // Istio takes it literally, so that it is not refused.
                let message = format!(
                    "`{text}`: `*` within a text means itself; it stands for more at the beginning or end alone"
                );
                report.warn(at, message);
            }
        }
    }
}

fn is_inner_wildcard(text: &str) -> bool {
    let inner = text.strip_prefix('*').unwrap_or(text);
    let inner = inner.strip_suffix('*').unwrap_or(inner);
    inner.contains('*') || (text.len() > 2 && text.starts_with('*') && text.ends_with('*'))
}

fn port_problem(text: &str) -> Option<String> {
    let fits = text.parse::<u16>().is_ok_and(|port| port > 0);
    (!fits).then(|| format!("`{text}` is not a port (1 to 65535)"))
}

/// What is wrong with a path of parts, `{*}` for one and `{**}` for any.
fn template_problem(path: &str) -> Option<String> {
    let mut is_last = false;
    for part in path.split('/') {
        match part {
            "{*}" | "{**}" if is_last => {
                return Some(format!("`{path}`: neither `{{*}}` nor `{{**}}` can follow `{{**}}`"));
            }
            "{*}" => {}
            "{**}" => is_last = true,
            part if part.contains(['*', '{', '}']) => {
                return Some(format!(
                    "`{path}`: `{{*}}` and `{{**}}` stand for whole parts, and no `*` beside them"
                ));
            }
            _ => {}
        }
    }
    None
}

fn key_problem(key: &str) -> Option<String> {
    let named = NAMED_KEYS.iter().any(|name| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']') && rest.len() > 2)
    });
    let is_known = named || KEYS.contains(&key) || key.starts_with(FILTERS);
    let forms: Vec<_> = KEYS.iter().map(|key| format!("`{key}`")).collect();
    (!is_known).then(|| {
        format!(
            "`{key}` is none of `request.headers[NAME]`, `request.auth.claims[NAME]`, {}",
            forms.join(", ")
        )
    })
}
