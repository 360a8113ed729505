//! Hosts and the patterns that cover them, found in both directions without a look at each.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use meltemi_names::Host;

use crate::record::Object;

/// Resources by the hosts that they name, wildcards among these.
#[derive(Debug, Default)]
pub(crate) struct ByHost {
    of: HashMap<String, BTreeSet<(String, Object)>>,
}

impl ByHost {
    /// Notes that a resource, created then, names a host.
    pub(crate) fn insert(&mut self, host: &Host, created: &str, object: &Object) {
        self.of.entry(host.to_string()).or_default().insert((created.to_owned(), object.clone()));
    }

    pub(crate) fn remove(&mut self, host: &Host, created: &str, object: &Object) {
        let Some(objects) = self.of.get_mut(host.as_str()) else { return };
        objects.remove(&(created.to_owned(), object.clone()));
        if objects.is_empty() {
            self.of.remove(host.as_str());
        }
    }

    /// The resources that name exactly this host, the older first.
    pub(crate) fn naming(&self, host: &Host) -> impl Iterator<Item = &Object> {
        self.of.get(host.as_str()).into_iter().flatten().map(|(_, object)| object)
    }

    /// The resources that name this host or a wildcard that covers it, each once, in Istio's order: the most specific host
    /// first, then the older, then by namespace and name.
    pub(crate) fn covering(&self, host: &Host) -> Vec<&Object> {
        if self.of.is_empty() {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let covering = patterns(host.as_str()).into_iter().filter_map(|it| self.of.get(&it));
        for (_, object) in covering.flatten() {
            if seen.insert(object) {
                found.push(object);
            }
        }
        found
    }
}

/// The name itself and the wildcards that cover it, the most specific first.
pub(crate) fn patterns(name: &str) -> Vec<String> {
    let mut patterns = vec![name.to_owned()];
    let mut rest = name;
    while let Some((_, parent)) = rest.split_once('.') {
        let wildcard = format!("*.{parent}");
        if wildcard != name {
            patterns.push(wildcard);
        }
        rest = parent;
    }
    if name != "*" {
        patterns.push("*".to_owned());
    }
    patterns
}

/// Hosts, by their ends.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    reversed: BTreeSet<String>,
}

impl Hosts {
    pub(crate) fn insert(&mut self, host: &Host) {
        self.reversed.insert(reversed(host.as_str()));
    }

    pub(crate) fn remove(&mut self, host: &Host) {
        self.reversed.remove(&reversed(host.as_str()));
    }

    /// The hosts that a host, wildcard or not, covers, itself included.
    pub(crate) fn covered_by(&self, pattern: &Host) -> Vec<Host> {
        let end = reversed(pattern.as_str().trim_start_matches('*'));
        let is_covered = |host: &&String| match pattern.is_wildcard() {
            true => host.starts_with(&end),
            false => **host == end,
        };
        let from = (Bound::Included(end.as_str()), Bound::Unbounded);
        let found = self.reversed.range::<str, _>(from).take_while(is_covered);
        // They were hosts before they were turned round.
        found.filter_map(|host| reversed(host).parse().ok()).collect()
    }
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ObjectKind;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn resources_are_found_in_istios_order() {
        let mut by_host = ByHost::default();
        let object = |name: &str| Object::new(ObjectKind::VirtualService, "n", name);
        for (pattern, created, name) in [
            ("*", "2020", "all"),
            ("*.b", "2020", "wide"),
            ("*.a.b", "2022", "young"),
            ("*.a.b", "2021", "old"),
            ("x.a.b", "2023", "exact"),
            ("*.b", "2023", "exact"),
            ("y.a.b", "2020", "other"),
        ] {
            by_host.insert(&host(pattern), created, &object(name));
        }
        let found = |name: &str| {
            by_host.covering(&host(name)).iter().map(|it| &*it.name).collect::<Vec<_>>()
        };
        assert_eq!(found("x.a.b"), ["exact", "old", "young", "wide", "all"]);
        assert_eq!(found("z.x.a.b"), ["old", "young", "wide", "exact", "all"]);
        assert_eq!(found("*.a.b"), ["old", "young", "wide", "exact", "all"]);
        assert_eq!(found("a.b"), ["wide", "exact", "all"]);
        assert_eq!(found("c"), ["all"]);
        assert_eq!(found("*"), ["all"]);
    }

    #[test]
    fn covered_hosts_are_found_by_their_ends() {
        let mut hosts = Hosts::default();
        let all = ["a.b", "x.a.b", "y.x.a.b", "*.a.b", "xa.b", "b", "z.c"];
        all.iter().for_each(|it| hosts.insert(&host(it)));
        for pattern in ["*.a.b", "*.b", "*", "a.b", "*.c", "nothing", "*.a.b.c"] {
            let mut found: Vec<String> =
                hosts.covered_by(&host(pattern)).iter().map(Host::to_string).collect();
            found.sort();
            let is_covered = |it: &&&str| host(pattern).covers(it) || **it == pattern;
            let mut expected: Vec<&str> = all.iter().filter(is_covered).copied().collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{pattern}");
        }
        hosts.remove(&host("x.a.b"));
        assert!(hosts.covered_by(&host("x.a.b")).is_empty());
    }
}
