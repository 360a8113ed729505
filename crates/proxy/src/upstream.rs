//! To the endpoint: a connection from the pool or a new one, and one attempt to get an answer over it.

pub(crate) mod admit;
pub(crate) mod attempt;
pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod pool;
pub(crate) mod proxy_protocol;
pub(crate) mod replay;
pub(crate) mod route;
mod secure;

#[cfg(test)]
mod tests;
