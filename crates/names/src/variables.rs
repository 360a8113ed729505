//! Variables of a `ProxyConfig` that a proxy goes by: those that are no matter of the machine or of who it is.

/// How requests are logged, as `meltemi run --access-log`.
pub const ACCESS_LOG: &str = "MELTEMI_ACCESS_LOG";
/// How long the end may take, as `meltemi run --drain-timeout`.
pub const DRAIN_TIMEOUT: &str = "MELTEMI_DRAIN_TIMEOUT";
/// The same in seconds, as Istio's sidecars know it.
pub const TERMINATION_DRAIN_DURATION_SECONDS: &str = "TERMINATION_DRAIN_DURATION_SECONDS";
/// Whether callers whose requests are refused are told by which policy: `true` or `false`.
pub const DENIED_BY: &str = "MELTEMI_DENIED_BY";
/// All of them.
pub const ALL: [&str; 4] =
    [ACCESS_LOG, DRAIN_TIMEOUT, TERMINATION_DRAIN_DURATION_SECONDS, DENIED_BY];
