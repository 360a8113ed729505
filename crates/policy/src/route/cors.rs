//! CORS in its compiled form: which pages of other origins may call (Envoy's CORS filter).

use std::sync::Arc;

use super::error::{Flaw, check_value};
use super::pattern::{Pattern, Patterns};
use super::request::Request;
use super::rule::{CorsPolicy, UnmatchedPreflights};

/// Headers of an answer; the rules and whoever answers share them.
type Headers = Arc<[(&'static str, Box<str>)]>;

/// What CORS asks for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors<'t> {
    /// Nothing: it goes on, and its answer is as the application makes it.
    Pass,
    /// It is a preflight request that is answered here, with status 200 and no body. If it `is_allowed`, the
    /// answer has these headers, and `access-control-allow-origin` with the request's `origin`.
    Preflight {
        /// Whether pages of this origin may call.
        is_allowed: bool,
        /// The other headers of the answer.
        headers: &'t [(&'static str, Box<str>)],
    },
    /// It goes on. In its answer these headers, and `access-control-allow-origin` with the request's `origin`, are
    /// put in place of what is there.
    Allowed {
        /// The other headers.
        headers: &'t Arc<[(&'static str, Box<str>)]>,
    },
}

/// Which pages may call, and what they are told.
#[derive(Debug)]
pub(super) struct CorsRules {
    origins: Box<[Pattern]>,
    preflight: Headers,
    answer: Headers,
    unmatched: UnmatchedPreflights,
}

impl CorsRules {
    pub(super) fn compile(rule: &CorsPolicy, patterns: &mut Patterns) -> Result<CorsRules, Flaw> {
        let origin = |(index, rule)| {
            let at = |error| Flaw::new(format!("allowOrigins[{index}]"), error);
            patterns.compile(rule).map_err(at)
        };
        let origins =
            rule.allow_origins.iter().enumerate().map(origin).collect::<Result<_, _>>()?;
        let lists = [
            ("allowMethods", "access-control-allow-methods", &rule.allow_methods),
            ("allowHeaders", "access-control-allow-headers", &rule.allow_headers),
            ("exposeHeaders", "access-control-expose-headers", &rule.expose_headers),
        ];
        let mut headers = Vec::new();
        for (field, name, list) in lists {
            let value = list.join(",");
            check_value(field, &value)?;
            if !value.is_empty() {
                headers.push((name, value.into()));
            }
        }
        let (mut answer, mut preflight): (Vec<_>, Vec<(&str, Box<str>)>) =
            headers.into_iter().partition(|(name, _)| *name == lists[2].1);
        if let Some(seconds) = rule.max_age_s {
            preflight.push(("access-control-max-age", seconds.to_string().into()));
        }
        if rule.allow_credentials {
            let header: (_, Box<str>) = ("access-control-allow-credentials", "true".into());
            preflight.push(header.clone());
            answer.push(header);
        }
        Ok(CorsRules {
            origins,
            preflight: preflight.into(),
            answer: answer.into(),
            unmatched: rule.unmatched_preflights,
        })
    }

    pub(super) fn decide(&self, request: &dyn Request) -> Cors<'_> {
        let Some(origin) = request.header("origin").filter(|origin| !origin.is_empty()) else {
            return Cors::Pass;
        };
        let is_preflight = request.method() == b"OPTIONS"
            && request.header("access-control-request-method").is_some_and(|it| !it.is_empty());
        let takes = |it: &Pattern| it.matches(b"*") || it.matches(&origin);
        match (self.origins.iter().any(takes), is_preflight) {
            (true, true) => Cors::Preflight { is_allowed: true, headers: &self.preflight },
            (true, false) => Cors::Allowed { headers: &self.answer },
            (false, true) if self.unmatched == UnmatchedPreflights::Ignore => {
                Cors::Preflight { is_allowed: false, headers: &[] }
            }
            (false, _) => Cors::Pass,
        }
    }
}
