//! What VirtualServices and DestinationRules say of one host, compiled for this proxy.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use meltemi_policy::destination::{Chosen, DestinationRule, choose};
use meltemi_policy::route::rule::VirtualService;
use meltemi_policy::route::{CompileError, Table};
use meltemi_wire::proto::meltemi::v1;

use super::Own;

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableRules {
    #[error(
        "its rule number {index} of kind {kind} cannot be read ({error}); control plane and proxy may be of versions that do not fit"
    )]
    Unreadable { kind: &'static str, index: usize, error: String },
    #[error("{0}")]
    Routes(String),
}

impl From<CompileError> for UnusableRules {
    fn from(error: CompileError) -> Self {
        UnusableRules::Routes(error.to_string())
    }
}

/// The rules of a host. Two are equal that were made of the same words for the same proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// Where requests and connections go instead of to the host itself.
    pub(super) table: Option<Arc<Table>>,
    /// How the host is called.
    pub(super) chosen: Arc<Chosen>,
    /// Stands for the words of `table`.
    pub(super) routes: u64,
    /// Stands for the words of `chosen`.
    pub(super) policies: u64,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        (self.routes, self.policies) == (other.routes, other.policies)
    }
}

impl Eq for Rules {}

impl Rules {
    /// Reads the rules of a `Service` message.
    pub(super) fn read(message: &v1::Service, own: &Own) -> Result<Rules, UnusableRules> {
        let mut services: Vec<Arc<VirtualService>> =
            parse("VirtualService", &message.virtual_services)?;
        services.retain(|it| own.imports(&it.namespace, &it.hosts));
        let policies: Vec<DestinationRule> = parse("DestinationRule", &message.destination_rules)?;
        let table = Table::compile(&message.host, &services, &own.route_caller())?;
        Ok(Rules {
            table: table.map(Arc::new),
            chosen: Arc::new(choose(&policies, &own.caller(), &message.namespace)),
            routes: digest(&message.virtual_services, own),
            policies: digest(&message.destination_rules, own),
        })
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    kind: &'static str,
    rules: &[Vec<u8>],
) -> Result<Vec<T>, UnusableRules> {
    let read = |(index, body): (usize, &Vec<u8>)| {
        serde_json::from_slice(body).map_err(|error| UnusableRules::Unreadable {
            kind,
            index,
            error: error.to_string(),
        })
    };
    rules.iter().enumerate().map(read).collect()
}

fn digest(rules: &[Vec<u8>], own: &Own) -> u64 {
    let mut hasher = DefaultHasher::new();
    if !rules.is_empty() {
        (rules, own).hash(&mut hasher);
    }
    hasher.finish()
}
