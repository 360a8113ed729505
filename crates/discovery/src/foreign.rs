//! Clients that are none of ours: Envoy, and gRPC with `xds:///`. They are told so, as resources that never come would look to
//! them like a mesh without any.

use std::sync::atomic::{AtomicBool, Ordering};

use meltemi_wire::type_url;
use tonic::Status;

/// What follows the end of a stream of theirs.
const WORD: &str = "this control plane serves its own sidecars (`meltemi run`, `meltemi proxy`) alone: xDS for Envoy and gRPC clients is not there";
/// Letters of a type's name that are repeated.
const SHOWN: usize = 100;

/// Tells them, and the log: once, as they ask again and again.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    was_told: AtomicBool,
}

impl Foreign {
    /// Whether this type of resource is of another API than ours. One of ours that is not known is of a newer sidecar, and is answered as
    /// a resource that is not there.
    pub(crate) fn is(kind: &str) -> bool {
        !kind.starts_with(type_url::PREFIX)
    }

    /// The end of their stream: gRPC's word for what a server does not offer.
    pub(crate) fn refuse(&self, asked: &str) -> Status {
        let asked: String = asked.chars().take(SHOWN).collect();
        if !self.was_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(asked, "a client was turned away: {WORD}");
        }
        Status::unimplemented(format!("{WORD} (asked for: {asked})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_others_are_told_from_our_own() {
        for kind in [type_url::SERVICE, type_url::TRUST, "type.googleapis.com/meltemi.v2.News"] {
            assert!(!Foreign::is(kind), "{kind}");
        }
        for kind in ["", "type.googleapis.com/envoy.config.cluster.v3.Cluster", "meltemi.v1.Trust"]
        {
            assert!(Foreign::is(kind), "{kind}");
        }
        let long = Foreign::default().refuse(&"x".repeat(10_000));
        assert!(long.message().len() < 400 && long.message().contains("not there"), "{long}");
    }
}
