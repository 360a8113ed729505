//! What a proxy tells about itself: Istio's standard metrics, Envoy's of named routes, process metrics, access log; and the
//! reader that `demo` and `top` use on other proxies' metrics.
//!
//! The way of a figure: the data path resolves labels once ([`Metrics::http`], [`Metrics::tcp`]),
//! keeps the [`HttpSeries`] and records into it; a scrape ([`Metrics::render`]) sums the shards and
//! writes text; [`scrape`] reads such text back.

pub mod access_log;
mod flags;
mod histogram;
mod labels;
mod metrics;
mod process;
mod registry;
mod render;
mod route;
pub mod scrape;
mod series;

pub use flags::ResponseFlags;
pub use histogram::BOUNDS;
pub use labels::{
    HttpLabels, Party, PeerLabels, Reporter, RequestProtocol, SecurityPolicy, TcpLabels, Word,
};
pub use metrics::{DEFAULT_SERIES_LIMIT, Metrics};
pub use registry::{Counter, Figures, Gauge, Registry};
pub use render::{Format, Rendering};
pub use route::{RouteEvent, RouteLabels, RouteSeries};
pub use series::{HttpSeries, TcpSeries};
