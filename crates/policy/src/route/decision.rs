//! What the rules say of one request. A decision borrows the table and works out what it is asked for, no more.

use std::time::Duration;

use super::cors::Cors;
use super::headers::HeaderEdit;
use super::http_table::{Act, Entry, Route, TargetRules};
use super::request::Request;
use super::rule::{
    AbortWith, Action, Destination, DirectResponse, HttpMatch, HttpRoute, Mirror, VirtualService,
};
use super::split;
use crate::retry::RetryPolicy;

/// What the rules say of one request.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'t> {
    pub(super) route: &'t Route,
    pub(super) entry: &'t Entry,
}

/// The destination that is chosen for a request.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// Who is called.
    pub destination: &'t Destination,
    /// Its number among the route's destinations.
    pub index: usize,
    pub(super) rules: &'t TargetRules,
}

/// Faults that are put into a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// It waits so long first.
    pub delay: Option<Duration>,
    /// Then it is answered so.
    pub abort: Option<AbortWith>,
}

impl<'t> Decision<'t> {
    /// The virtual service whose rule it is.
    pub fn virtual_service(&self) -> &'t VirtualService {
        &self.route.service
    }

    /// The rule.
    pub fn rule(&self) -> &'t HttpRoute {
        self.route.rule()
    }

    /// The match of the rule; none where it has no matches.
    pub fn matched(&self) -> Option<&'t HttpMatch> {
        self.entry.matched.and_then(|index| self.rule().matches.get(index as usize))
    }

    /// The route's name for logs: `ROUTE`, or `ROUTE.MATCH` where the match has a name.
    pub fn name(&self) -> &'t str {
        self.entry.name.as_deref().unwrap_or(&self.rule().name)
    }

    /// The name under which the request is counted (Istio's `statPrefix`), with its number among those of the table;
    /// none where the match has none.
    pub fn stat_prefix(&self) -> Option<(usize, &'t str)> {
        let number = self.entry.stat_prefix?;
        Some((number as usize, &self.matched()?.stat_prefix))
    }

    /// Whether it goes to the host that was asked for, as if there were no rules.
    pub fn is_for_itself(&self) -> bool {
        matches!(self.route.act, Act::Itself)
    }

    /// The status of a request whose destination there is not, or may not be called.
    pub fn missing_status(&self) -> u16 {
        self.rule().missing_status.unwrap_or(503)
    }

    /// The destination that a random number falls to; none where nobody is called.
    pub fn destination(&self, random: u64) -> Option<Target<'t>> {
        let Act::Forward { targets, .. } = &self.route.act else {
            return None;
        };
        let (index, rules) = split::pick(targets, |it| it.end, random)?;
        Some(Target { destination: &rules.destination, index, rules })
    }

    /// Puts the path that the destination sees, with its query, after what `out` has; `false`, and nothing put,
    /// where it is the request's own.
    pub fn rewrite_path(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let Act::Forward { rewrite: Some(rewrite), .. } = &self.route.act else {
            return false;
        };
        rewrite.rewrite(path, self.entry.path, out);
        true
    }

    /// Where the request is sent instead: puts the URL after what `out` has and gives the status; none where it is
    /// not.
    pub fn redirect(&self, request: &dyn Request, out: &mut Vec<u8>) -> Option<u16> {
        let Act::Redirect(redirect) = &self.route.act else {
            return None;
        };
        redirect.locate(request, self.entry.path, out);
        Some(redirect.code)
    }

    /// The answer that is given at once; none where there is none.
    pub fn direct_response(&self) -> Option<&'t DirectResponse> {
        match &self.rule().action {
            Action::DirectResponse(answer) => Some(answer),
            _ => None,
        }
    }

    /// What is changed in the headers of answers that are made here: redirects and direct responses.
    pub fn response_headers(&self) -> &'t [HeaderEdit] {
        &self.route.response
    }

    /// How long the whole answer may take, all attempts together.
    pub fn timeout(&self) -> Option<Duration> {
        self.rule().timeout_ms.filter(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// When it is tried anew.
    pub fn retry(&self) -> &'t RetryPolicy {
        &self.route.retry
    }

    /// The faults that are put into this request.
    pub fn faults(&self, random: &mut dyn FnMut() -> u64) -> Faults {
        let rule = &self.rule().fault;
        let delay = rule.delay.as_ref().filter(|delay| delay.percentage.takes(random()));
        let abort = rule.abort.as_ref().filter(|abort| abort.percentage.takes(random()));
        Faults {
            delay: delay.map(|delay| Duration::from_millis(delay.fixed_delay_ms)),
            abort: abort.map(|abort| abort.with),
        }
    }

    /// Who gets a copy of this request.
    pub fn mirrors(
        &self,
        mut random: impl FnMut() -> u64,
    ) -> impl Iterator<Item = &'t Destination> {
        let takes = move |mirror: &&Mirror| mirror.percentage.takes(random());
        self.rule().mirrors.iter().filter(takes).map(|mirror| &mirror.destination)
    }

    /// What CORS asks for the request.
    pub fn cors(&self, request: &dyn Request) -> Cors<'t> {
        self.route.cors.as_ref().map_or(Cors::Pass, |cors| cors.decide(request))
    }
}

impl<'t> Target<'t> {
    /// What is changed in the request's headers, in this order.
    pub fn request_headers(&self) -> &'t [HeaderEdit] {
        &self.rules.request
    }

    /// What is changed in the answer's headers, in this order.
    pub fn response_headers(&self) -> &'t [HeaderEdit] {
        &self.rules.response
    }

    /// Why nobody may be called; none where somebody may.
    pub fn unusable(&self) -> Option<&'t str> {
        self.rules.unusable.as_deref()
    }

    /// The authority that the destination sees; none where it is the request's own.
    pub fn authority(&self) -> Option<&'t str> {
        self.rules.authority.as_deref()
    }
}
