//! Faults that are put into requests, to see how callers bear them.

use serde::{Deserialize, Serialize};

use super::is_default;

/// Faults that are put into requests: first the delay, then the abort, each with a chance of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// They take longer.
    #[serde(skip_serializing_if = "is_default")]
    pub delay: Option<Delay>,
    /// They fail.
    #[serde(skip_serializing_if = "is_default")]
    pub abort: Option<Abort>,
}

/// Requests take longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delay {
    /// By so much.
    pub fixed_delay_ms: u64,
    /// So many of them.
    pub percentage: Percentage,
}

/// Requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// So.
    pub with: AbortWith,
    /// So many of them.
    pub percentage: Percentage,
}

/// How requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AbortWith {
    /// With this status of HTTP.
    HttpStatus(u16),
    /// With this status of gRPC.
    GrpcStatus(u8),
}

/// A share of all requests, in parts of a million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percentage(u32);

impl Percentage {
    /// Every request.
    pub const ALL: Percentage = Percentage(1_000_000);
    /// No request.
    pub const NONE: Percentage = Percentage(0);

    /// So many of 100, to four places after the point; less than 0 counts as 0, more than 100 as 100.
    pub fn from_percent(percent: f64) -> Percentage {
        Percentage((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
    }

    /// So many of any number; more than all counts as all, and of none as none.
    pub fn from_fraction(numerator: u32, denominator: u32) -> Percentage {
        let parts = (u64::from(numerator) * 1_000_000).checked_div(u64::from(denominator));
        Percentage(parts.unwrap_or(0).min(1_000_000) as u32)
    }

    /// So many of a million.
    pub fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether this request is one of the share, by a random number.
    pub fn takes(self, random: u64) -> bool {
        random % 1_000_000 < u64::from(self.0)
    }
}
