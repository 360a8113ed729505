//! The sample application of `meltemi demo`: a shop of four small services, and one that shops there. They know nothing
//! of the mesh but what every application under `meltemi run` is told: `HTTP_PROXY`, and the address of an upstream.

pub mod books;
mod call;
mod catalog;
mod load;
mod pace;
mod page;
mod proto;
mod ratings;
mod reviews;
mod serve;
mod shopper;
mod storefront;
mod trace;

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Uri;
use thiserror::Error;

pub use catalog::Catalog;
pub use load::{Latency, Report};
pub use ratings::Ratings;
pub use reviews::{Edition, Reviews};
pub use shopper::Shopper;
pub use storefront::Storefront;

/// Why a program of the bookshop cannot go on.
#[derive(Debug, Error)]
pub enum BookshopError {
    /// The port is taken or forbidden.
    #[error("{service} cannot listen on {address}: {reason}; choose another with --port")]
    Listen {
        /// The service's name.
        service: &'static str,
        /// Where it wanted to listen.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
    /// Serving broke off.
    #[error("{service} stopped serving: {reason}")]
    Serve {
        /// The service's name.
        service: &'static str,
        /// What broke.
        reason: String,
    },
    /// Where another service is cannot be told from this.
    #[error("`{url}` is not the address of {service}: expected http://HOST:PORT")]
    Address {
        /// The other service.
        service: &'static str,
        /// What was given.
        url: String,
    },
    /// `HTTP_PROXY` cannot be used.
    #[error("HTTP_PROXY is `{0}`, which is not http://HOST:PORT")]
    Proxy(String),
    /// The system gives no timer or no signals.
    #[error("cannot {what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The figures cannot be written.
    #[error("cannot write the report {path}: {reason}")]
    Report {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// The base address of a service, without a path.
fn base(service: &'static str, url: &str) -> Result<Uri, BookshopError> {
    let fits = |uri: &Uri| {
        uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() == "/"
    };
    url.parse()
        .ok()
        .filter(fits)
        .ok_or_else(|| BookshopError::Address { service, url: url.to_owned() })
}
