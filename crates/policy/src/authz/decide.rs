//! What becomes of a request.

use std::fmt;

use super::input::{Connection, Request};
use super::policies::{Kind, Policies, RuleId, Settled};
use super::test::View;

/// What becomes of a request or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Why it is refused; `None` if it passes.
    pub denial: Option<Denial>,
    /// The rule by which it is noted.
    pub audited: Option<RuleId>,
    /// What policies would do that are evaluated without effect; `None` where there are none.
    pub dry_run: Option<DryRun>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// A CUSTOM policy's rule matched: it does not pass unless an authorizer allows it.
    Custom(RuleId),
    /// A DENY policy's rule matched.
    Rule(RuleId),
    /// There are ALLOW policies, and none of their rules matched.
    NotAllowed,
    /// The policies could not be read.
    Unreadable,
}

/// What policies would do that are evaluated without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DryRun {
    /// Why they would refuse; `None` if they would let pass.
    pub denial: Option<Denial>,
}

impl Policies {
    /// What becomes of a request, or with `None` of a connection of bytes.
    pub fn judge<R: Request>(
        &self,
        settled: &Settled,
        connection: &Connection<'_>,
        request: Option<&R>,
    ) -> Judgement {
        self.judge_by(settled, connection, request, false)
    }

    /// The same of what an authorizer has allowed, or cannot be asked of and passes: by the policies that come after CUSTOM.
    pub fn judge_allowed<R: Request>(
        &self,
        settled: &Settled,
        connection: &Connection<'_>,
        request: Option<&R>,
    ) -> Judgement {
        self.judge_by(settled, connection, request, true)
    }

    fn judge_by<R: Request>(
        &self,
        settled: &Settled,
        connection: &Connection<'_>,
        request: Option<&R>,
        is_allowed: bool,
    ) -> Judgement {
        if self.closed.is_some() {
            let denial = Some(Denial::Unreadable);
            return Judgement { denial, audited: None, dry_run: None };
        }
        let view = View::new(connection, request);
        let find = |kind| self.find(kind, settled, &view);
        let has = |kind| self.set(kind).policies > 0;
        let denied = |deny, allow| {
            let by_rule = find(deny).map(Denial::Rule);
            by_rule.or_else(|| (has(allow) && find(allow).is_none()).then_some(Denial::NotAllowed))
        };
        let by_custom = if is_allowed { None } else { find(Kind::Custom).map(Denial::Custom) };
        let is_tried = has(Kind::DryDeny) || has(Kind::DryAllow);
        Judgement {
            denial: by_custom.or_else(|| denied(Kind::Deny, Kind::Allow)),
            audited: find(Kind::Audit),
            dry_run: is_tried.then(|| DryRun { denial: denied(Kind::DryDeny, Kind::DryAllow) }),
        }
    }

    /// Why something is refused, as Envoy has it in `%RESPONSE_CODE_DETAILS%`.
    pub fn details(&self, denial: Denial) -> Details<'_> {
        Details { policies: self, denial }
    }

    /// Why the policies could not be read.
    pub fn closed_because(&self) -> Option<&str> {
        self.closed.as_deref()
    }
}

/// `rbac_access_denied_matched_policy[ns[NAMESPACE]-policy[NAME]-rule[NUMBER]]`; `none` stands where no rule allowed it.
#[derive(Debug)]
pub struct Details<'p> {
    policies: &'p Policies,
    denial: Denial,
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rbac_access_denied_matched_policy[")?;
        match self.denial {
            Denial::Rule(id) => f.write_str(&self.policies.name_of(id))?,
            // As Istio names what it makes of a CUSTOM policy without its provider.
            Denial::Custom(id) => {
                write!(f, "{}-deny-due-to-bad-CUSTOM-action", self.policies.name_of(id))?;
            }
            Denial::NotAllowed => f.write_str("none")?,
            Denial::Unreadable => f.write_str("unreadable")?,
        }
        f.write_str("]")
    }
}
