//! A long walk of random updates: whatever comes in whatever order, what requests see, what is said to have left, and
//! what would be kept on disk agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meltemi_wire::delta::client::Update;
use meltemi_wire::type_url;

use super::{Follow, Receiver};
use crate::config::fixture::{endpoint, endpoints_of, removed, service, services};
use crate::config::last_good::LastGood;
use crate::config::{Endpoint, Own, Snapshot};

const NAMES: [&str; 4] = ["a", "a.default", "b", "none"];
const SERVICES: [&str; 2] = ["one", "two"];

/// A small generator of numbers that look random (Knuth's MMIX constants); the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }

    fn of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.roll(choices.len())]
    }
}

/// Which service each name means.
type Meanings = BTreeMap<&'static str, &'static str>;

/// A service's content goes out under all names that mean it, as a control plane sends it.
fn some_service(dice: &mut Dice, meanings: &mut Meanings) -> Update {
    let (name, meant) = (dice.of(&NAMES), dice.of(&SERVICES));
    let ports: &[u32] = [&[80][..], &[80, 81], &[81], &[], &[0]][dice.roll(5)];
    let message = service(meant, ports);
    if ports == [0] {
        return services(&[(name, &message)]);
    }
    meanings.insert(name, meant);
    let named = meanings.iter().filter(|(_, it)| **it == meant);
    services(&named.map(|(name, _)| (*name, &message)).collect::<Vec<_>>())
}

fn some_endpoint(dice: &mut Dice) -> Update {
    let mut message = endpoint(dice.of(&["w", "x", "y"]));
    message.address = dice.of(&["127.0.0.1", "127.0.0.2", "?"]).into();
    if dice.roll(2) == 0 {
        message.ports[0].service_port = 81;
    }
    endpoints_of(&host(dice), &[&message])
}

fn host(dice: &mut Dice) -> String {
    format!("{}.default.svc.cluster.local", dice.of(&SERVICES))
}

fn some_removal(dice: &mut Dice, meanings: &mut Meanings) -> Update {
    match dice.roll(3) {
        0 => {
            let name = dice.of(&NAMES);
            meanings.remove(name);
            removed(type_url::SERVICE, &[name])
        }
        1 => removed(type_url::ENDPOINT, &[&format!("{}/*", host(dice))]),
        _ => {
            let name = format!("{}/{}", host(dice), dice.of(&["w", "x", "y"]));
            removed(type_url::ENDPOINT, &[&name])
        }
    }
}

/// All endpoints that can be picked.
fn living(snapshot: &Snapshot) -> BTreeMap<u64, Arc<Endpoint>> {
    let clusters = snapshot.services().flat_map(|(_, service)| &service.clusters);
    clusters.flat_map(|it| it.endpoints()).map(|it| (it.presence.id, it.clone())).collect()
}

/// What a snapshot says, without what tells two builds of the same apart.
fn said(snapshot: &Snapshot) -> BTreeMap<String, Vec<String>> {
    let services = snapshot.services().map(|(name, service)| {
        let clusters = service.clusters.iter().map(|cluster| {
            let on = cluster.endpoints().iter();
            let on: Vec<_> =
                on.map(|it| format!("{} {}:{}", it.workload, it.address, it.port)).collect();
            format!("{} {on:?}", cluster.name)
        });
        (name.to_owned(), clusters.collect())
    });
    services.collect()
}

#[test]
fn what_is_seen_what_left_and_what_is_kept_agree_on_every_walk() {
    for walk in 0..40 {
        let mut dice = Dice(walk);
        let mut receiver = Receiver::new(3, 0, Own::of("default"));
        let mut followed = BTreeSet::new();
        let mut meanings = Meanings::new();
        let mut before = receiver.snapshot();
        for step in 0..150 {
            let change = match dice.roll(8) {
                0 => receiver.ask(dice.of(&NAMES)),
                1 | 2 => receiver.update(some_service(&mut dice, &mut meanings)),
                3..=5 => receiver.update(some_endpoint(&mut dice)),
                _ => receiver.update(some_removal(&mut dice, &mut meanings)),
            };
            let place = format!("walk {walk}, step {step}");
            let after = receiver.snapshot();

            let (lived, lives) = (living(&before), living(&after));
            let gone: Vec<u64> =
                lived.keys().filter(|id| !lives.contains_key(id)).copied().collect();
            let mut left: Vec<u64> = change.left.iter().map(|it| it.presence.id).collect();
            left.sort();
            assert_eq!(left, gone, "{place}");
            for (id, endpoint) in &lives {
                assert!(lived.get(id).is_none_or(|it| Arc::ptr_eq(it, endpoint)), "{place}");
            }
            assert!(change.is_visible || said(&before) == said(&after), "{place}");
            assert!(change.is_visible || left.is_empty(), "{place}");

            for follow in change.follow {
                match follow {
                    Follow::Begin(kind, name) => assert!(followed.insert((kind, name)), "{place}"),
                    Follow::End(kind, name) => assert!(followed.remove(&(kind, name)), "{place}"),
                }
            }
            assert_eq!(receiver.subscriptions().collect::<BTreeSet<_>>(), followed, "{place}");

            let kept = LastGood::of(&receiver, "default");
            let mut restored = Receiver::new(3, 0, Own::of("default"));
            assert!(kept.clone().restore(&mut restored, None).is_empty(), "{place}");
            assert_eq!(said(&restored.snapshot()), said(&after), "{place}");
            before = after;
        }
    }
}
