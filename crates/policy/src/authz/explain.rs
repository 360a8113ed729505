//! Why a request passes or not: each policy, each of its rules, and the field that decided.

use super::compile::{CompileError, compile};
use super::decide::Judgement;
use super::input::{Connection, Request};
use super::policies::{CompiledRule, Policies};
use super::rule::{Action, AuthorizationPolicy, Rule};
use super::test::{Place, Test, View};

/// Why a request passes or not.
#[derive(Debug)]
pub struct Explanation {
    /// What becomes of it.
    pub judgement: Judgement,
    /// What becomes of it once an authorizer has allowed it, if one is asked.
    pub once_allowed: Judgement,
    /// The policies as they were compiled for it.
    pub policies: Policies,
    /// Each policy, in the order in which they came.
    pub of: Vec<PolicyExplanation>,
}

/// What one policy says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyExplanation {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub name: String,
    /// What becomes of what it matches.
    pub action: Action,
    /// Whether it has no effect.
    pub dry_run: bool,
    /// Each rule.
    pub rules: Vec<RuleExplanation>,
}

/// What one rule says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleExplanation {
    /// It matches; these fields were looked at.
    Matches(Vec<Field>),
    /// It does not, for this field.
    Fails(Field),
}

/// A field of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Where it stands, as in `from[0].source.principals`.
    pub path: String,
    /// What the policy says.
    pub wanted: Vec<String>,
    /// What the connection or request has.
    pub found: String,
    /// Whether it counts for nothing, because a connection of bytes has it not or this proxy does not know it.
    pub is_ignored: bool,
}

impl PolicyExplanation {
    /// Whether a rule matches.
    pub fn is_match(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, RuleExplanation::Matches(_)))
    }
}

/// Judges a request, or with `None` a connection of bytes, and says why.
pub fn explain<'p, R: Request>(
    policies: impl IntoIterator<Item = &'p AuthorizationPolicy>,
    connection: &Connection<'_>,
    request: Option<&R>,
) -> Result<Explanation, CompileError> {
    let list: Vec<&AuthorizationPolicy> = policies.into_iter().collect();
    let compiled = Policies::compile(list.iter().copied())?;
    let settled = compiled.settle(connection);
    let judgement = compiled.judge(&settled, connection, request);
    let once_allowed = compiled.judge_allowed(&settled, connection, request);
    let view = View::new(connection, request);
    let mut of = Vec::with_capacity(list.len());
    for (number, policy) in list.iter().enumerate() {
        let rules = compile(policy, number as u32)?;
        let refuses = policy.action != Action::Allow;
        let explained =
            policy.rules.iter().zip(&rules).map(|(rule, compiled)| {
                Explaining { rule, compiled, view: &view, refuses }.explain()
            });
        of.push(PolicyExplanation {
            namespace: policy.namespace.clone(),
            name: policy.name.clone(),
            action: policy.action,
            dry_run: policy.dry_run,
            rules: explained.collect(),
        });
    }
    Ok(Explanation { judgement, once_allowed, policies: compiled, of })
}

struct Explaining<'a, R> {
    rule: &'a Rule,
    compiled: &'a CompiledRule,
    view: &'a View<'a, R>,
    refuses: bool,
}

impl<R: Request> Explaining<'_, R> {
    fn explain(&self) -> RuleExplanation {
        let CompiledRule { sources, operations, conditions, .. } = self.compiled;
        let mut looked_at = Vec::new();
        for alternatives in [&**sources, &**operations, std::slice::from_ref(conditions)] {
            if alternatives.is_empty() {
                continue;
            }
            match alternatives.iter().find(|tests| tests.iter().all(|it| self.holds(it))) {
                Some(whole) => looked_at.extend(whole.iter().map(|it| self.field(it))),
                // None of them holds: what fails of the first stands for all.
                None => {
                    let failing = alternatives.iter().flatten().find(|it| !self.holds(it));
                    return failing.map_or(RuleExplanation::Matches(Vec::new()), |it| {
                        RuleExplanation::Fails(self.field(it))
                    });
                }
            }
        }
        if self.compiled.matches(self.view, self.refuses) {
            return RuleExplanation::Matches(looked_at);
        }
        // It lets requests pass, and one of its alternatives asks what a connection of bytes has not.
        let parts = sources.iter().chain(operations).flatten();
        let unanswerable = parts.chain(conditions).find(|it| !it.is_available(self.view));
        unanswerable.map_or(RuleExplanation::Matches(looked_at), |it| {
            RuleExplanation::Fails(self.field(it))
        })
    }

    fn holds(&self, test: &Test) -> bool {
        match test.is_available(self.view) {
            true => test.holds(self.view),
            false => self.refuses,
        }
    }

    fn field(&self, test: &Test) -> Field {
        let named = |fields: &[super::compile::Field<'_>]| {
            let all = fields.iter().flat_map(|it| [it.demanded, it.forbidden]);
            let found = all.into_iter().find(|(name, _)| *name == test.field);
            found.map(|(_, list)| list.to_vec()).unwrap_or_default()
        };
        let field = test.field;
        let (path, wanted) = match test.place {
            Place::From(at) => {
                let source = self.rule.from.get(usize::from(at));
                let wanted = source.map(|it| named(&it.fields()));
                (format!("from[{at}].source.{field}"), wanted)
            }
            Place::To(at) => {
                let operation = self.rule.to.get(usize::from(at));
                let wanted = operation.map(|it| named(&it.fields()));
                (format!("to[{at}].operation.{field}"), wanted)
            }
            Place::When(at) => {
                let condition = self.rule.when.get(usize::from(at));
                let key = condition.map_or("", |it| &it.key);
                (format!("when[{at}].{field} of {key}"), condition.map(|it| named(&[it.field()])))
            }
        };
        Field {
            path,
            wanted: wanted.unwrap_or_default(),
            found: test.found_text(self.view),
            is_ignored: !test.is_available(self.view),
        }
    }
}
