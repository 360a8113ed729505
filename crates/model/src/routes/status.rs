//! What becomes of a route of the Gateway API at each of its parents: what its `status` tells.

use serde_json::Value;

/// The status of a route, of the parents that are of the mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteStatus {
    /// The generation of the route that it speaks of.
    pub generation: u64,
    /// At each parent, in the order of the route.
    pub parents: Vec<RouteParentStatus>,
}

/// What became of a route at a parent (`RouteParentStatus`).
#[derive(Debug, Clone, PartialEq)]
pub struct RouteParentStatus {
    /// The parent, as the route names it.
    pub parent: Value,
    /// `Accepted` and `ResolvedRefs`.
    pub conditions: [RouteCondition; 2],
}

/// Whether something holds of a route. The reasons are the Gateway API's (`RouteConditionReason`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteCondition {
    /// What it is about.
    pub r#type: &'static str,
    /// Whether that holds.
    pub holds: bool,
    /// Why, in a word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

impl RouteCondition {
    /// Whether the route has its effect at a parent.
    pub(crate) fn accepted(problem: Option<(&'static str, String)>) -> RouteCondition {
        let message = "the route is in effect for calls within the mesh";
        RouteCondition::new(("Accepted", "Accepted"), problem, message)
    }

    /// Whether all that the route names is there, and may be named.
    pub(crate) fn resolved(problem: Option<(&'static str, String)>) -> RouteCondition {
        let message = "all that the route names is there";
        RouteCondition::new(("ResolvedRefs", "ResolvedRefs"), problem, message)
    }

    fn new(
        (r#type, fine): (&'static str, &'static str),
        problem: Option<(&'static str, String)>,
        message: &str,
    ) -> RouteCondition {
        let holds = problem.is_none();
        let (reason, message) = problem.unwrap_or_else(|| (fine, message.to_owned()));
        RouteCondition { r#type, holds, reason, message }
    }
}
