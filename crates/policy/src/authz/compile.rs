//! From the rules of a policy to tests.

use thiserror::Error;

use super::attribute::Attribute;
use super::matcher::{Pattern, Patterns};
use super::policies::{CompiledRule, RuleId};
use super::rule::{Action, AuthorizationPolicy, Rule};
use super::template::Template;
use super::test::{Place, Test, Values};

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("AuthorizationPolicy {namespace}/{name}, rule {rule}: {field}: `{value}` {wrong}")]
pub struct CompileError {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub name: String,
    /// The rule, from 0.
    pub rule: usize,
    /// The field.
    pub field: &'static str,
    /// What stands there.
    pub value: String,
    /// What is wrong with it.
    pub wrong: &'static str,
}

/// What is wrong with a value.
#[derive(Debug)]
struct Wrong {
    field: &'static str,
    value: String,
    wrong: &'static str,
}

/// A field that demands values, and the one that forbids them.
#[derive(Debug)]
pub(super) struct Field<'p> {
    pub(super) attribute: Attribute,
    pub(super) demanded: (&'static str, &'p [String]),
    pub(super) forbidden: (&'static str, &'p [String]),
}

/// What is compiled, for the parts of its rules.
#[derive(Debug, Clone, Copy)]
struct Compiling<'p> {
    namespace: &'p str,
    /// Whether a match refuses (or notes) rather than lets pass.
    refuses: bool,
}

/// Compiles the rules of a policy. `number` is its place among the policies.
pub(super) fn compile(
    policy: &AuthorizationPolicy,
    number: u32,
) -> Result<Vec<CompiledRule>, CompileError> {
    let refuses = policy.action != Action::Allow;
    let compiling = Compiling { namespace: &policy.namespace, refuses };
    let mut rules = Vec::with_capacity(policy.rules.len());
    for (index, rule) in policy.rules.iter().enumerate() {
        let id = RuleId { policy: number, rule: index as u32 };
        rules.push(compiling.rule(id, rule).map_err(|Wrong { field, value, wrong }| {
            CompileError {
                namespace: policy.namespace.clone(),
                name: policy.name.clone(),
                rule: index,
                field,
                value,
                wrong,
            }
        })?);
    }
    Ok(rules)
}

impl Compiling<'_> {
    fn rule(&self, id: RuleId, rule: &Rule) -> Result<CompiledRule, Wrong> {
        let sources = rule.from.iter().enumerate();
        let sources = sources.map(|(at, it)| self.tests(Place::From(at as u16), it.fields()));
        let operations = rule.to.iter().enumerate();
        let operations = operations.map(|(at, it)| self.tests(Place::To(at as u16), it.fields()));
        let mut conditions = Vec::new();
        for (at, condition) in rule.when.iter().enumerate() {
            conditions.extend(self.tests(Place::When(at as u16), [condition.field()])?);
        }
        let (sources, operations) =
            (sources.collect::<Result<_, _>>()?, operations.collect::<Result<_, _>>()?);
        Ok(CompiledRule::new(id, sources, operations, conditions.into()))
    }

    /// The tests of which all must hold.
    fn tests<'p>(
        &self,
        place: Place,
        fields: impl IntoIterator<Item = Field<'p>>,
    ) -> Result<Box<[Test]>, Wrong> {
        let mut tests = Vec::new();
        for Field { attribute, demanded, forbidden } in fields {
            for ((field, list), is_negated) in [(demanded, false), (forbidden, true)] {
                if list.is_empty() {
                    continue;
                }
                tests.push(Test {
                    place,
                    field,
                    values: self.values(&attribute, field, list)?,
                    attribute: attribute.clone(),
                    is_negated,
                    is_generous: self.refuses != is_negated,
                });
            }
        }
        Ok(tests.into())
    }

    fn values(
        &self,
        attribute: &Attribute,
        field: &'static str,
        list: &[String],
    ) -> Result<Values, Wrong> {
        let wrong =
            |value: &String, wrong: &'static str| Wrong { field, value: value.clone(), wrong };
        Ok(match attribute {
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
                let block = |it: &String| {
                    it.parse().map_err(|_| wrong(it, "is neither an address nor a block of them"))
                };
                Values::Blocks(list.iter().map(block).collect::<Result<_, _>>()?)
            }
            Attribute::Port => {
                let port = |it: &String| it.parse().map_err(|_| wrong(it, "is not a port"));
                Values::Ports(list.iter().map(port).collect::<Result<_, _>>()?)
            }
            Attribute::Host => {
                let folded: Vec<String> = list.iter().map(|it| it.to_ascii_lowercase()).collect();
                Values::Hosts(Patterns::new(folded.iter().map(String::as_str)))
            }
            Attribute::ServiceAccount => {
                let full: Vec<String> = list.iter().map(|it| account(it, self.namespace)).collect();
                Values::Texts(Patterns::new(full.iter().map(String::as_str)))
            }
            Attribute::RequestPrincipal => {
                Values::Tokens(list.iter().map(|it| token(it)).collect())
            }
            Attribute::Path => {
                let (templates, texts): (Vec<&String>, Vec<&String>) =
                    list.iter().partition(|it| Template::is_one(it));
                let template = |it: &&String| {
                    Template::parse(it).ok_or_else(|| wrong(it, "is not a template of paths"))
                };
                let templates = templates.iter().map(template).collect::<Result<_, _>>()?;
                Values::Paths(Patterns::new(texts.iter().map(|it| it.as_str())), templates)
            }
            _ => Values::Texts(Patterns::new(list.iter().map(String::as_str))),
        })
    }
}

/// The test of one value alone. `None` where the value is wrong, which [`compile`] has refused.
pub(super) fn test_of(
    attribute: &Attribute,
    text: &str,
    namespace: &str,
    is_generous: bool,
) -> Option<Test> {
    let values = Compiling { namespace, refuses: false }.values(attribute, "", &[text.to_owned()]);
    Some(Test {
        place: Place::When(0),
        field: "",
        attribute: attribute.clone(),
        values: values.ok()?,
        is_negated: false,
        is_generous,
    })
}

/// `NAMESPACE/NAME`; a name alone is one of the policy's namespace.
pub(super) fn account(text: &str, namespace: &str) -> String {
    match text.contains('/') {
        true => text.to_owned(),
        false => format!("{namespace}/{text}"),
    }
}

/// Issuer and subject of a token's principal. An issuer may have slashes, a subject has none.
fn token(text: &str) -> (Pattern, Pattern) {
    let exact = |text: &str| Pattern::Exact(text.as_bytes().into());
    if text == "*" {
        return (Pattern::Present, Pattern::Present);
    }
    match (text.rsplit_once('/'), text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some((issuer, subject)), Some(_), _) => (Pattern::parse(issuer), exact(subject)),
        (Some((issuer, subject)), None, Some(_)) => (exact(issuer), Pattern::parse(subject)),
        (Some((issuer, subject)), None, None) => (exact(issuer), exact(subject)),
        (None, Some(subject), _) => (Pattern::Present, Pattern::Suffix(subject.as_bytes().into())),
        (None, None, Some(issuer)) => (Pattern::Prefix(issuer.as_bytes().into()), Pattern::Present),
        (None, None, None) => (exact(text), exact("")),
    }
}
