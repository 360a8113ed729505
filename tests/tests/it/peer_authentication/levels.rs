//! Which policy decides for a workload, and what it lets in.

use meltemi_tests::{Sidecar, eventually};
use serde_json::{Value, json};

use super::{Policies, mode, selecting, shows};
use crate::three_workloads::{HOSTS, World};

/// A policy: namespace, name and specification.
type Said<'n> = (&'n str, &'n str, Value);

const ROOT: &str = "istio-system";

impl World {
    fn each(&self) -> [&Sidecar; 3] {
        let [first, second, third] = &self.workloads;
        [first, second, third]
    }

    async fn show(&self, expected: [&str; 3], why: &str) {
        for ((workload, host), expected) in self.workloads.iter().zip(HOSTS).zip(expected) {
            shows(workload, &self.client, host, expected, why).await;
        }
    }
}

/// Istio's table: <https://istio.io/latest/docs/concepts/security/#peer-authentication>.
///
/// Fields: PeerAuthentication spec.mtls.mode, spec.selector.matchLabels.*
#[tokio::test(flavor = "multi_thread")]
async fn the_narrowest_policy_that_says_a_mode_decides() {
    let world = World::start().await;
    let policies = Policies::of(&world.mesh);
    let [strict, permissive, disable] = ["STRICT", "PERMISSIVE", "DISABLE"];
    let mesh = |said: &str| (ROOT, "mesh", mode(said));
    let one = |said: &str| ("one", "all", mode(said));
    let only_a = |said: &str| ("one", "a", selecting("a", said));
    let rows: [(&[Said<'_>], [&str; 3]); 13] = [
        (&[], [strict; 3]),
        (&[mesh(permissive)], [permissive; 3]),
        (&[mesh(disable)], [disable; 3]),
        (&[mesh("UNSET")], [strict; 3]),
        (&[one(permissive)], [permissive, permissive, strict]),
        (&[one(disable)], [disable, disable, strict]),
        (&[mesh(permissive), one(strict)], [strict, strict, permissive]),
        (&[mesh(permissive), one("UNSET")], [permissive; 3]),
        (&[one(strict), only_a(permissive)], [permissive, strict, strict]),
        (&[one(permissive), only_a("UNSET")], [permissive, permissive, strict]),
        (&[mesh(permissive), only_a(disable)], [disable, permissive, permissive]),
        (&[mesh(permissive), one(disable), only_a(strict)], [strict, disable, permissive]),
        // A selector in the root namespace selects nothing.
        (&[(ROOT, "a", selecting("a", permissive))], [strict; 3]),
    ];
    for (said, expected) in rows {
        policies.set(said, &world.each()).await;
        world.show(expected, &format!("{said:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_policies_of_one_level_the_older_one_decides() {
    let world = World::start().await;
    let policies = Policies::of(&world.mesh);
    let created = |answer: Value| answer["metadata"]["creationTimestamp"].clone();
    for (namespace, old, young, expected) in [
        (ROOT, mode("PERMISSIVE"), mode("STRICT"), ["PERMISSIVE"; 3]),
        ("one", mode("PERMISSIVE"), mode("STRICT"), ["PERMISSIVE", "PERMISSIVE", "STRICT"]),
        (
            "one",
            selecting("b", "DISABLE"),
            selecting("b", "STRICT"),
            ["STRICT", "DISABLE", "STRICT"],
        ),
    ] {
        policies.set(&[], &[]).await;
        // By their names the other one would go first.
        let first = created(policies.create("PeerAuthentication", namespace, "z", &old).await);
        eventually("a policy of a later second", async || {
            let second = policies.create("PeerAuthentication", namespace, "a", &young).await;
            if created(second) != first {
                return Ok(());
            }
            policies.delete("peerauthentications", namespace, "a").await;
            Err("it is of the same second".to_owned())
        })
        .await;
        policies.arrived(&world.each()).await;
        world.show(expected, &json!([namespace, old, young]).to_string()).await;
    }
}
