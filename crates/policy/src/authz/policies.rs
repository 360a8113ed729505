//! All policies of a workload, compiled, and what a connection settles of them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::compile::{CompileError, compile};
use super::index::{Buckets, Building, Index};
use super::input::{Connection, NoRequest, Request};
use super::rule::{Action, AuthorizationPolicy};
use super::test::{Test, View};

/// Tells compiled policies apart.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A rule, by its policy's place and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId {
    pub(super) policy: u32,
    pub(super) rule: u32,
}

/// All policies of a workload.
#[derive(Debug)]
pub struct Policies {
    /// No two that were ever compiled have the same.
    id: u64,
    /// Namespace and name of each policy.
    names: Box<[(Box<str>, Box<str>)]>,
    sets: [Set; KINDS],
    asked: Asked,
    /// Why they could not be read: then everything is refused.
    pub(super) closed: Option<Box<str>>,
}

/// What a set of rules is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Custom,
    Deny,
    Allow,
    Audit,
    DryDeny,
    DryAllow,
}

const KINDS: usize = 6;

/// Whom CUSTOM policies have asked.
#[derive(Debug, Default)]
enum Asked {
    #[default]
    Nobody,
    One(Box<str>),
    Several,
}

impl Kind {
    fn of(policy: &AuthorizationPolicy) -> Option<Kind> {
        Some(match (policy.action, policy.dry_run) {
            (Action::Custom, false) => Kind::Custom,
            (Action::Deny, false) => Kind::Deny,
            (Action::Allow, false) => Kind::Allow,
            (Action::Deny, true) => Kind::DryDeny,
            (Action::Allow, true) => Kind::DryAllow,
            (Action::Audit, false) => Kind::Audit,
            // What is only noted, or asked of somebody else, has nothing to be tried without effect.
            (Action::Audit | Action::Custom, true) => return None,
        })
    }

    /// Whether a match leads towards a refusal or a note, not towards a permission.
    fn refuses(self) -> bool {
        !matches!(self, Kind::Allow | Kind::DryAllow)
    }
}

/// The rules of all policies of one kind.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// How many policies there are: they may have no rules, which has a meaning with ALLOW.
    pub(super) policies: u32,
    rules: Vec<CompiledRule>,
    index: Index,
    refuses: bool,
}

/// A rule in its compiled form.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) id: RuleId,
    pub(super) sources: Box<[Box<[Test]>]>,
    pub(super) operations: Box<[Box<[Test]>]>,
    pub(super) conditions: Box<[Test]>,
    /// Whether it asks something that a connection alone cannot answer.
    pub(super) needs_request: bool,
}

/// What a connection decides before its first request.
#[derive(Debug, Clone)]
pub struct Settled {
    sets: [OfSet; KINDS],
}

/// What a connection decides of one set.
#[derive(Debug, Clone)]
struct OfSet {
    state: State,
    buckets: Buckets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No request of the connection is matched.
    Never,
    /// Each is, by this rule.
    Always(u32),
    /// It depends on the request.
    Open,
}

impl Policies {
    /// Compiles policies, in the order of namespace and name that they have.
    pub fn compile<'p>(
        policies: impl IntoIterator<Item = &'p AuthorizationPolicy>,
    ) -> Result<Policies, CompileError> {
        let mut names = Vec::new();
        let mut sets: [Set; KINDS] = Default::default();
        let mut building: [Building<'p>; KINDS] = Default::default();
        let mut asked = Asked::Nobody;
        for policy in policies {
            let number = names.len() as u32;
            names.push((policy.namespace.as_str().into(), policy.name.as_str().into()));
            let compiled = compile(policy, number)?;
            let Some(kind) = Kind::of(policy) else { continue };
            if kind == Kind::Custom {
                asked.add(&policy.provider);
            }
            let set = &mut sets[kind as usize];
            set.policies += 1;
            set.refuses = kind.refuses();
            for (rule, compiled) in policy.rules.iter().zip(compiled) {
                let number = set.rules.len() as u32;
                building[kind as usize].push(number, rule, &policy.namespace, &compiled);
                set.rules.push(compiled);
            }
        }
        for (set, building) in sets.iter_mut().zip(building) {
            set.index = building.build(set.refuses);
            set.rules.shrink_to_fit();
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Policies { id, names: names.into(), sets, asked, closed: None })
    }

    /// Policies that could not be read, for this reason: everything is refused.
    pub fn closed(reason: &str) -> Policies {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (names, sets, asked) = Default::default();
        Policies { id, names, sets, asked, closed: Some(reason.into()) }
    }

    /// Whether everything passes and nothing is noted.
    pub fn is_empty(&self) -> bool {
        self.closed.is_none() && self.sets.iter().all(|set| set.policies == 0)
    }

    /// Namespace and name of each policy, in their order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(namespace, name)| (&**namespace, &**name))
    }

    /// Whom the CUSTOM policies have asked. `None` where there are none, and where they name several: as with Istio nobody can
    /// be asked then.
    pub fn authorizer(&self) -> Option<&str> {
        match &self.asked {
            Asked::One(name) => Some(name),
            Asked::Nobody | Asked::Several => None,
        }
    }

    /// A number that no others have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A rule's name as Envoy has it of Istio: `ns[NAMESPACE]-policy[NAME]-rule[NUMBER]`.
    pub fn name_of(&self, id: RuleId) -> String {
        let unknown = Default::default();
        let (namespace, name) = self.names.get(id.policy as usize).unwrap_or(&unknown);
        format!("ns[{namespace}]-policy[{name}]-rule[{}]", id.rule)
    }

    /// Decides what a connection decides for all of its requests.
    pub fn settle(&self, connection: &Connection<'_>) -> Settled {
        Settled { sets: std::array::from_fn(|kind| self.sets[kind].settle(connection)) }
    }

    pub(super) fn set(&self, kind: Kind) -> &Set {
        &self.sets[kind as usize]
    }

    /// The rule of a set that matches, if one does.
    pub(super) fn find<R: Request>(
        &self,
        kind: Kind,
        settled: &Settled,
        view: &View<'_, R>,
    ) -> Option<RuleId> {
        let (set, of_set) = (self.set(kind), settled.sets.get(kind as usize)?);
        let found = match of_set.state {
            State::Never => return None,
            State::Always(rule) => rule,
            State::Open => {
                let accept = |rule| set.is_match(rule, view);
                set.index.find_of_request(&of_set.buckets, view, set.refuses, accept)?
            }
        };
        set.rules.get(found as usize).map(|rule| rule.id)
    }
}

impl Asked {
    fn add(&mut self, provider: &str) {
        match self {
            Asked::Nobody => *self = Asked::One(provider.into()),
            Asked::One(known) if **known == *provider => {}
            Asked::One(_) | Asked::Several => *self = Asked::Several,
        }
    }
}

impl Set {
    fn settle(&self, connection: &Connection<'_>) -> OfSet {
        if self.rules.is_empty() {
            return OfSet { state: State::Never, buckets: Buckets::default() };
        }
        let view = View::<NoRequest>::new(connection, None);
        let buckets = self.index.buckets(&view);
        let plain = self.index.find_plain(&buckets, &view, |rule| self.is_match(rule, &view));
        let state = match plain {
            Some(rule) => State::Always(rule),
            None if self.index.asks_requests(&buckets) => State::Open,
            None => State::Never,
        };
        OfSet { state, buckets }
    }

    fn is_match<R: Request>(&self, rule: u32, view: &View<'_, R>) -> bool {
        self.rules.get(rule as usize).is_some_and(|rule| rule.matches(view, self.refuses))
    }
}

impl CompiledRule {
    pub(super) fn new(
        id: RuleId,
        sources: Box<[Box<[Test]>]>,
        operations: Box<[Box<[Test]>]>,
        conditions: Box<[Test]>,
    ) -> Self {
        let parts = sources.iter().chain(&operations).chain(std::iter::once(&conditions));
        let needs_request = parts.flatten().any(|test| test.attribute.is_of_request());
        CompiledRule { id, sources, operations, conditions, needs_request }
    }

    /// Whether it matches. What cannot be known of a connection of bytes keeps a rule that lets pass from matching, and is
    /// left out of one that refuses (<https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/>).
    pub(super) fn matches<R: Request>(&self, view: &View<'_, R>, refuses: bool) -> bool {
        if self.needs_request && view.request.is_none() && !refuses {
            return false;
        }
        let holds = |test: &Test| match test.is_available(view) {
            true => test.holds(view),
            false => refuses,
        };
        let any =
            |parts: &[Box<[Test]>]| parts.is_empty() || parts.iter().any(|it| it.iter().all(holds));
        self.conditions.iter().all(holds) && any(&self.sources) && any(&self.operations)
    }
}
