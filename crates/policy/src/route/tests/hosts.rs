use proptest::prelude::*;

use super::super::{Hosts, host_of};

fn hosts(names: &[&'static str]) -> Hosts<&'static str> {
    let mut hosts = Hosts::default();
    for name in names {
        assert_eq!(hosts.insert(name, *name), None);
    }
    hosts
}

#[test]
fn the_most_specific_host_counts() {
    let hosts = hosts(&["a.b.c", "*.b.c", "*.a.b.c", "*.c", "*", "d.c"]);
    for (name, expected) in [
        ("a.b.c", "a.b.c"),
        ("A.B.c", "a.b.c"),
        ("b.b.c", "*.b.c"),
        ("x.y.b.c", "*.b.c"),
        ("x.a.b.c", "*.a.b.c"),
        ("b.c", "*.c"),
        ("d.c", "d.c"),
        ("x.d.c", "*.c"),
        ("c", "*"),
        (".c", "*"),
        ("", "*"),
        ("x", "*"),
        ("10.0.0.1", "*"),
    ] {
        assert_eq!(hosts.find(name), Some(&expected), "{name}");
    }
}

#[test]
fn without_a_host_for_all_others_find_nothing() {
    let mut hosts = hosts(&["*.b.c", "a"]);
    for name in ["b.c", "b", "x.b.d", "", &"x.".repeat(200)] {
        assert_eq!(hosts.find(name), None, "{name}");
    }
    assert_eq!(hosts.insert("*.B.c", "again"), Some("*.b.c"));
    assert_eq!(hosts.find("x.b.c"), Some(&"again"));
    assert_eq!(hosts.find_exact("*.b.c"), Some(&"again"));
    assert_eq!(hosts.find_exact("x.b.c"), None);
    assert_eq!(hosts.values().count(), 2);
}

#[test]
fn the_port_is_no_part_of_the_host() {
    for (authority, host) in [
        ("a.b:80", "a.b"),
        ("a.b", "a.b"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
        (":80", ""),
    ] {
        assert_eq!(host_of(authority.as_bytes()), host.as_bytes());
    }
}

proptest! {
    /// By hash as by a look at all of them.
    #[test]
    fn hosts_are_found_as_by_a_scan(
        names in prop::collection::btree_set(r"(\*|(\*\.)?[ab](\.[ab]){0,3})", 0..12),
        asked in prop::collection::vec(r"[ab](\.[ab]){0,5}", 20),
    ) {
        let mut hosts = Hosts::default();
        for name in &names {
            hosts.insert(name, name.clone());
        }
        for host in asked {
            let covers = |own: &&String| match own.strip_prefix('*') {
                None => **own == host,
                Some(end) => host.len() > end.len() && host.ends_with(end),
            };
            let best = names.iter().filter(covers).max_by_key(|it| (!it.starts_with('*'), it.len()));
            prop_assert_eq!(hosts.find(&host), best);
        }
    }
}
