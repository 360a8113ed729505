//! `AuthorizationPolicy`: who may do what with workloads.

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{MatchSelector, PolicyTargetReference, check_attachment};
use super::status::Status;
use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::form;

mod check;

/// Who may do what with workloads.
pub type AuthorizationPolicy = Object<AuthorizationPolicySpec, Status>;

/// Who may do what with workloads. Without rules an `ALLOW` policy allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationPolicySpec {
    /// The workloads; all of the namespace where it is left out.
    pub selector: Option<MatchSelector>,
    /// Old form of `targetRefs`.
    pub target_ref: Option<PolicyTargetReference>,
    /// The gateways or services that the policy is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// A request is meant if one of them matches.
    #[schemars(length(max = 512))]
    pub rules: Vec<Rule>,
    /// What becomes of requests that are meant; `ALLOW` where it is left out.
    pub action: Option<Action>,
    /// Who decides, with action `CUSTOM`.
    pub provider: Option<Provider>,
}

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// They pass; others of the workload do not.
    Allow,
    /// They do not pass.
    Deny,
    /// They are noted.
    Audit,
    /// An authorizer outside decides.
    Custom,
}

/// An authorizer outside.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Provider {
    /// Its name in the mesh's configuration.
    pub name: String,
}

/// Matches if a source, an operation and all conditions do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rule {
    /// Who calls; anyone where it is left out.
    #[schemars(length(max = 512))]
    pub from: Vec<From>,
    /// What is asked for; anything where it is left out.
    pub to: Vec<To>,
    /// What else must hold.
    pub when: Vec<Condition>,
}

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct From {
    /// All of it must match.
    pub source: Option<Source>,
}

/// What a caller is; all fields that are there must match. `*` may stand at the beginning or end of texts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// Identities by certificate, as in `cluster.local/ns/default/sa/storefront`.
    pub principals: Vec<String>,
    /// None of these.
    pub not_principals: Vec<String>,
    /// Identities by token, `ISSUER/SUBJECT`.
    pub request_principals: Vec<String>,
    /// None of these.
    pub not_request_principals: Vec<String>,
    /// Namespaces by certificate.
    pub namespaces: Vec<String>,
    /// None of these.
    pub not_namespaces: Vec<String>,
    /// Addresses of the connection.
    #[schemars(with = "Vec<form::Cidr>")]
    pub ip_blocks: Vec<String>,
    /// None of these.
    #[schemars(with = "Vec<form::Cidr>")]
    pub not_ip_blocks: Vec<String>,
    /// Addresses of the first caller, by `X-Forwarded-For` or the PROXY protocol.
    #[schemars(with = "Vec<form::Cidr>")]
    pub remote_ip_blocks: Vec<String>,
    /// None of these.
    #[schemars(with = "Vec<form::Cidr>")]
    pub not_remote_ip_blocks: Vec<String>,
    /// Service accounts by certificate, `[NAMESPACE/]NAME`.
    #[schemars(length(max = 16))]
    pub service_accounts: Vec<String>,
    /// None of these.
    #[schemars(length(max = 16))]
    pub not_service_accounts: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct To {
    /// All of it must match.
    pub operation: Option<Operation>,
}

/// What a request is; all fields that are there must match. `*` may stand at the beginning or end of texts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Operation {
    /// Hosts, with any case.
    pub hosts: Vec<String>,
    /// None of these.
    pub not_hosts: Vec<String>,
    /// Ports of the workload.
    pub ports: Vec<String>,
    /// None of these.
    pub not_ports: Vec<String>,
    /// Methods, as in `GET`.
    pub methods: Vec<String>,
    /// None of these.
    pub not_methods: Vec<String>,
    /// Paths, also with `{*}` for a part and `{**}` for any.
    pub paths: Vec<String>,
    /// None of these.
    pub not_paths: Vec<String>,
}

/// What else must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The attribute, as in `request.headers[x-team]`.
    #[schemars(with = "form::Filled")]
    pub key: String,
    /// One of these.
    #[serde(default)]
    pub values: Vec<String>,
    /// None of these.
    #[serde(default)]
    pub not_values: Vec<String>,
}

impl Spec for AuthorizationPolicySpec {
    fn check(&self, _: &ObjectMeta, at: &Path, report: &mut Report) {
        let selector = self.selector.as_ref();
        check_attachment(selector, self.target_ref.as_ref(), &self.target_refs, at, report);
        match (self.action, &self.provider) {
            (Some(Action::Custom), provider)
                if provider.as_ref().is_none_or(|it| it.name.is_empty()) =>
            {
                let message = "missing; action CUSTOM has an authorizer outside decide";
                report.error(at.field("provider").field("name"), message);
            }
            (action, Some(_)) if action != Some(Action::Custom) => {
                let message = "has a meaning with action CUSTOM alone";
                report.error(at.field("provider"), message).on_key();
            }
            _ => {}
        }
        if self.rules.is_empty() && self.action == Some(Action::Deny) {
            let message = "missing; without rules a DENY policy denies nothing";
            report.warn(at.field("rules"), message).suggest("`rules: [{}]` matches every request");
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&at.field("rules").item(index), report);
        }
    }
}
