//! Addresses that stand for hosts.

use super::rules::object;
use super::*;
use crate::record::Allocation;

fn entry(host: &str, addresses: &[&str], allocation: Allocation) -> Change {
    let record = ServiceRecord {
        addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
        allocation,
        ..service_record(&[host], None)
    };
    Change::Put(object(ObjectKind::ServiceEntry, "shop", host), Record::Service(record))
}

#[test]
fn hosts_have_their_own_addresses_or_given_ones_and_are_found_by_them() {
    let mut model = model();
    let (snapshot, _) = model.apply(
        1,
        [
            entry("own.com", &["10.1.0.1", "10.2.0.0/16"], Allocation::Internal),
            entry("given.com", &[], Allocation::Internal),
            entry("public.com", &[], Allocation::Public),
            entry("off.com", &[], Allocation::Off),
            entry("*.wild.com", &[], Allocation::Internal),
            entry("192.0.2.1", &[], Allocation::Internal),
        ],
    );
    let of = |snapshot: &Snapshot, host: &str| {
        let service = snapshot.service(host).unwrap();
        (service.addresses.to_vec(), service.has_public_addresses)
    };
    assert_eq!(of(&snapshot, "own.com"), (vec!["10.1.0.1".into(), "10.2.0.0/16".into()], true));
    for host in ["off.com", "*.wild.com", "192.0.2.1"] {
        assert!(of(&snapshot, host).0.is_empty(), "{host}");
    }
    let (given, is_public) = of(&snapshot, "given.com");
    assert!(given.len() == 1 && given[0].starts_with("240.240.") && !is_public, "{given:?}");
    let (public, is_public) = of(&snapshot, "public.com");
    assert!(public.len() == 1 && public != given && is_public, "{public:?}");
    let find = |snapshot: &Snapshot, asked: &str| {
        snapshot.find(asked, &Viewer::of("x")).map(|service| service.host.to_string())
    };
    assert_eq!(find(&snapshot, &given[0]).as_deref(), Some("given.com"));
    assert_eq!(find(&snapshot, "10.1.0.1").as_deref(), Some("own.com"));
    assert_eq!(find(&snapshot, "192.0.2.1").as_deref(), Some("192.0.2.1"));
    assert_eq!(find(&snapshot, "10.9.9.9"), None);

    // What changes around a host does not change its address.
    let (after, _) = model.apply(2, [entry("given.com", &[], Allocation::Public)]);
    assert_eq!(of(&after, "given.com"), (given.clone(), true));
    let (after, affected) = model.apply(3, [entry("given.com", &["10.3.0.1"], Allocation::Public)]);
    assert_eq!(of(&after, "given.com").0, ["10.3.0.1"]);
    assert_eq!(affected.services.len(), 1);
    assert_eq!(find(&after, &given[0]), None);
    let gone = Change::Remove(object(ObjectKind::ServiceEntry, "shop", "own.com"));
    assert_eq!(find(&model.apply(4, [gone]).0, "10.1.0.1"), None);
    let (again, _) = model.apply(5, [entry("given.com", &[], Allocation::Internal)]);
    assert_eq!(of(&again, "given.com").0, given, "the same name has the same address again");
}

#[test]
fn each_host_of_an_entry_is_resolved_by_its_own_name() {
    let mut model = model();
    let hosts = ["a.example.com", "b.example.com"];
    let record = ServiceRecord {
        resolution: Resolution::Dns,
        self_named: true,
        ..service_record(&hosts, None)
    };
    let object = object(ObjectKind::ServiceEntry, "shop", "both");
    let (snapshot, affected) = model.apply(1, [Change::Put(object, Record::Service(record))]);
    assert_eq!(affected.endpoints.len(), 2);
    for host in hosts {
        let endpoints = &snapshot.service(host).unwrap().endpoints;
        let addresses: Vec<&str> = endpoints.values().map(|it| it.address.as_str()).collect();
        assert_eq!(addresses, [host]);
        assert_eq!(endpoints[host].ports, [(80, 80)]);
    }
}
