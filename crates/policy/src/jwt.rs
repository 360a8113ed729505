//! JSON Web Tokens (RFC 7519) of requests, as a `RequestAuthentication` has them verified.
//!
//! [`rule`] is what travels. [`Authentication::compile`] makes one value of all rules of a workload; its
//! [`Authentication::judge`] says of a request who bears a token, that there is none, or why it is refused. What is refused
//! and with which words is Envoy's (`envoy.filters.http.jwt_authn`), stricter where RFC 7515 and RFC 7518 are.

mod algorithm;
mod authentication;
mod bearer;
mod claims;
mod key_set;
mod memory;
mod places;
mod refusal;
pub mod rule;
mod token;

pub use algorithm::Algorithm;
pub use authentication::{Authenticated, Authentication};
pub use claims::Claims;
pub use key_set::{KeySet, KeySetError};
pub use memory::Memory;
pub use places::{Request, without_cookies, without_parameters};
pub use refusal::Refusal;
pub use token::{MAX_TOKEN, Token};

#[cfg(test)]
mod tests;
