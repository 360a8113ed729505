//! A decision for people, and as JSON.

use std::fmt::Write;

use meltemi_policy::authz::provider::Provider;
use meltemi_policy::authz::{Denial, Field, PolicyExplanation, RuleExplanation};
use serde_json::{Value, json};

use super::asked::Asked;
use super::check::{Verdict, is_request};

/// The decisions, each with the rules that led to it. Workloads of which the same is to be said are told of once.
pub(super) fn tell(caller: &str, asked: &Asked, verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    let mut told: Vec<(String, Vec<&Verdict>)> = Vec::new();
    for verdict in verdicts {
        let reasons = reasons(verdict);
        match told.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, same)) => same.push(verdict),
            None => told.push((reasons, vec![verdict])),
        }
    }
    for (reasons, same) in told {
        let verdict = same[0];
        let word = match (verdict.judgement.denial, verdict.asks()) {
            (None, _) => "allowed",
            (Some(_), None) => "DENIED",
            (Some(_), Some(_)) => "ASKS",
        };
        let what = match is_request(&verdict.port) {
            true => format!("{} {}", asked.method, asked.path),
            false => "a connection of bytes".to_owned(),
        };
        let workloads: Vec<&str> = same.iter().map(|it| it.workload.as_str()).collect();
        // Writing into a text cannot fail.
        let _ = writeln!(
            text,
            "{word}: {what} by {caller} to {} (port {})\n  {}",
            workloads.join(", "),
            verdict.port.target_port,
            because(verdict)
        );
        text.push_str(&reasons);
    }
    // What users wrote must not drive a terminal.
    text.replace(|letter: char| letter.is_control() && letter != '\n', " ")
}

fn because(verdict: &Verdict) -> String {
    let explanation = &verdict.explanation;
    let name = |id| explanation.policies.name_of(id);
    match verdict.judgement.denial {
        Some(Denial::Rule(id)) => format!("by the DENY rule {}", name(id)),
        Some(Denial::Custom(id)) => {
            let name = name(id);
            match &verdict.authorizer {
                Ok(provider) => asks(&name, provider, verdict),
                Err(why) => format!("by the CUSTOM rule {name}: {why}"),
            }
        }
        Some(Denial::NotAllowed) => "no rule of its ALLOW policies matches".to_owned(),
        Some(Denial::Unreadable) => "its policies cannot be read".to_owned(),
        None if explanation.of.is_empty() => "there is no policy for it".to_owned(),
        None => "no DENY rule matches, and an ALLOW rule does or there is none".to_owned(),
    }
}

/// Whom a rule has asked, and what becomes of what that one allows.
fn asks(rule: &str, provider: &Provider, verdict: &Verdict) -> String {
    let Provider { name, service, port, .. } = provider;
    let explanation = &verdict.explanation;
    let then = match explanation.once_allowed.denial {
        None => "what it allows passes".to_owned(),
        Some(denial) => {
            format!(
                "what it allows is refused all the same: {}",
                explanation.policies.details(denial)
            )
        }
    };
    format!("the CUSTOM rule {rule} has the authorizer {name} at {service}:{port} asked; {then}")
}

fn reasons(verdict: &Verdict) -> String {
    let mut text = String::new();
    for policy in &verdict.explanation.of {
        let dry_run = if policy.dry_run { " (dry run: no effect)" } else { "" };
        let _ = writeln!(
            text,
            "  {} {}/{}{dry_run}",
            policy.action.as_str(),
            policy.namespace,
            policy.name
        );
        if policy.rules.is_empty() {
            text.push_str("    has no rules: it matches nothing\n");
        }
        for (number, rule) in policy.rules.iter().enumerate() {
            match rule {
                RuleExplanation::Fails(field) => {
                    let _ = writeln!(text, "    rule {number} does not match: {}", words(field));
                }
                RuleExplanation::Matches(fields) if fields.is_empty() => {
                    let _ = writeln!(text, "    rule {number} matches everything");
                }
                RuleExplanation::Matches(fields) => {
                    let _ = writeln!(text, "    rule {number} matches:");
                    for field in fields {
                        let _ = writeln!(text, "      {}", words(field));
                    }
                }
            }
        }
    }
    text
}

fn words(field: &Field) -> String {
    let Field { path, wanted, found, is_ignored } = field;
    let wanted = wanted.join(", ");
    match is_ignored {
        true => format!("{path} [{wanted}]: asks for what is not there to ask"),
        false => format!("{path} [{wanted}]: it is {found}"),
    }
}

/// A decision as JSON.
pub(super) fn as_json(verdict: &Verdict) -> Value {
    let explanation = &verdict.explanation;
    let details =
        |denial: Option<Denial>| denial.map(|it| explanation.policies.details(it).to_string());
    let judgement = verdict.judgement;
    let asks = verdict.asks().map(|it| {
        let then = explanation.once_allowed.denial;
        json!({
            "provider": it.name, "service": it.service, "port": it.port,
            "onceAllowed": {"allowed": then.is_none(), "details": details(then)},
        })
    });
    let policies: Vec<Value> = explanation.of.iter().map(policy).collect();
    json!({
        "workload": verdict.workload,
        "port": verdict.port.target_port,
        "protocol": verdict.port.protocol.as_str(),
        "allowed": judgement.denial.is_none(),
        "details": details(judgement.denial),
        "asks": asks,
        "dryRun": judgement.dry_run.map(|it| json!({"allowed": it.denial.is_none(), "details": details(it.denial)})),
        "policies": policies,
    })
}

fn policy(policy: &PolicyExplanation) -> Value {
    let field = |it: &Field| json!({"path": it.path, "wanted": it.wanted, "found": it.found, "ignored": it.is_ignored});
    let rule = |it: &RuleExplanation| match it {
        RuleExplanation::Matches(fields) => {
            json!({"matches": true, "fields": fields.iter().map(field).collect::<Vec<_>>()})
        }
        RuleExplanation::Fails(failing) => json!({"matches": false, "fields": [field(failing)]}),
    };
    json!({
        "namespace": policy.namespace,
        "name": policy.name,
        "action": policy.action.as_str(),
        "dryRun": policy.dry_run,
        "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}
