//! Routes: the rules that say where requests and connections to a host go, and their compiled form.
//!
//! [`rule`] is what travels. [`Table::compile`] makes one table of the rules of one host, for one proxy; [`Hosts`]
//! finds the table by the host that is asked, and [`HttpTable::find`] the [`Decision`] for a request.

mod condition;
mod connections;
mod cors;
mod decision;
mod error;
mod headers;
mod hosts;
mod http_table;
mod paths;
mod pattern;
mod redirect;
mod request;
mod rewrite;
pub mod rule;
mod split;
mod table;

pub use connections::{Connections, Subnet, SubnetError};
pub use cors::Cors;
pub use decision::{Decision, Faults, Target};
pub use error::{CompileError, Problem, is_answer_status, is_header_value, is_target_text};
pub use headers::HeaderEdit;
pub use hosts::Hosts;
pub use http_table::HttpTable;
pub(crate) use paths::prefixes::{Gathered, Prefixes};
pub use pattern::{PatternError, check_pattern};
pub use request::{Request, find_parameter, host_of};
pub use rewrite::check_replacement;
pub use table::{Caller, Table, check};

#[cfg(test)]
mod tests;
