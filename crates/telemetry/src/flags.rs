//! Why a response is what it is, in Envoy's short words: the `response_flags` of metrics and logs.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of Envoy's response flags; [`ResponseFlags::NONE`] prints as `-`, several print with a
/// comma between, in Envoy's order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseFlags(u32);

/// Declares one constant a flag and the table that [`fmt::Display`] walks.
macro_rules! flags {
    ($($bit:literal $name:ident $doc:literal;)*) => {
        impl ResponseFlags {
            $(#[doc = $doc] pub const $name: ResponseFlags = ResponseFlags(1 << $bit);)*

            /// Every flag with its short word, in Envoy's order.
            const ALL: &'static [(ResponseFlags, &'static str)] =
                &[$((ResponseFlags::$name, stringify!($name))),*];
        }
    };
}

flags! {
    0 LH "The local service failed its health check.";
    1 UH "No healthy endpoint in the service.";
    2 UT "The upstream's time-out passed.";
    3 LR "The stream was reset by this proxy.";
    4 UR "The upstream reset the stream.";
    5 UF "No connection to the upstream.";
    6 UC "The upstream ended the connection.";
    7 UO "Circuit breaker: too much in flight to the upstream.";
    8 NR "No route for the request.";
    9 DI "Delayed by fault injection.";
    10 FI "Aborted by fault injection.";
    11 RL "Refused by the local rate limit.";
    12 UAEX "Refused by the external authorization service.";
    13 RLSE "The rate limit service failed.";
    14 DC "The caller ended the connection.";
    15 URX "All retries (or connection attempts of a TCP proxy) are spent.";
    16 SI "The stream was idle for too long.";
    17 IH "A header of the mesh has a value that cannot be.";
    18 DPE "The caller broke the HTTP protocol.";
    19 UMSDR "The upstream request lasted longer than the longest stream allowed.";
    20 RFCF "Answered from a cache.";
    21 NFCF "A filter's configuration did not come in time.";
    22 DT "The connection lasted longer than allowed.";
    23 UPE "The upstream broke the HTTP protocol.";
    24 NC "The route's service is not known.";
    25 OM "This proxy is overloaded.";
    26 DF "The upstream's name could not be resolved.";
    27 DO "Dropped by the service's drop policy.";
    28 DR "The caller reset the stream.";
    29 UDO "Dropped without condition by the service's drop policy.";
}

impl ResponseFlags {
    /// Nothing out of the ordinary.
    pub const NONE: ResponseFlags = ResponseFlags(0);

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every flag of `other` is set here.
    pub const fn contains(self, other: ResponseFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ResponseFlags {
    type Output = ResponseFlags;

    fn bitor(self, other: ResponseFlags) -> ResponseFlags {
        ResponseFlags(self.0 | other.0)
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: ResponseFlags) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut separator = "";
        for (_, word) in Self::ALL.iter().filter(|(flag, _)| self.contains(*flag)) {
            write!(f, "{separator}{word}")?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_envoy_prints_them() {
        for (flags, expected) in [
            (ResponseFlags::NONE, "-"),
            (ResponseFlags::UH, "UH"),
            (ResponseFlags::URX | ResponseFlags::UF, "UF,URX"),
            (ResponseFlags::UMSDR, "UMSDR"),
        ] {
            assert_eq!(flags.to_string(), expected);
        }
    }

    #[test]
    fn every_flag_has_a_bit_of_its_own() {
        let mut seen = ResponseFlags::NONE;
        for (flag, word) in ResponseFlags::ALL {
            assert!(!seen.contains(*flag), "{word}");
            seen |= *flag;
        }
        assert!(seen.contains(ResponseFlags::DC | ResponseFlags::UDO));
    }
}
