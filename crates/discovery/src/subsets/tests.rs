//! Who is sent which endpoints, and what a change costs.

use super::*;

type Names = BTreeMap<Arc<str>, Arc<Endpoint>>;

const HOST: &str = "big.shop.svc.cluster.local";

fn endpoint(name: &str) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        plaintext: Vec::new(),
        workload: name.into(),
        namespace: "shop".into(),
        address: "10.0.0.1".into(),
        ports: Vec::new(),
        mutual_tls: None,
        identity: None,
        labels: Arc::default(),
        locality: String::new(),
        weight: 0,
        network: String::new(),
    })
}

fn names(count: usize) -> Names {
    let names = (0..count).map(|number| format!("big-{number}"));
    names.map(|name| (name.as_str().into(), endpoint(&name))).collect()
}

fn members(size: usize, names: &Names) -> Members<'_> {
    Members { size: Some(size), names: Some(names) }
}

/// What a client that has just come is sent.
fn sent(client: &str, size: usize, names: &Names) -> BTreeSet<Arc<str>> {
    let mut subsets = Subsets::of(client);
    subsets.look(HOST, members(size, names), []);
    seen(&subsets, names)
}

fn seen(subsets: &Subsets, names: &Names) -> BTreeSet<Arc<str>> {
    names.keys().filter(|name| subsets.has(HOST, name)).cloned().collect()
}

#[test]
fn small_services_and_clients_without_a_name_are_sent_everything() {
    assert_eq!(sent("shop/web-1", 20, &names(100)).len(), 100);
    assert_eq!(sent("shop/web-1", 20, &names(101)).len(), 20);
    assert_eq!(sent("shop/web-1", 500, &names(101)).len(), 101);
    let many = names(300);
    let mut nameless = Subsets::default();
    assert!(nameless.look(HOST, members(20, &many), []).is_empty());
    assert_eq!(seen(&nameless, &many).len(), 300);
    let mut all = Subsets::of("shop/web-1");
    assert!(all.look(HOST, Members { size: None, names: Some(&many) }, []).is_empty());
    assert_eq!(seen(&all, &many).len(), 300);
}

#[test]
fn every_endpoint_has_its_share_of_the_clients() {
    for (count, size, clients) in [(101, 20, 1000), (200, 20, 1000), (500, 50, 600)] {
        let names = names(count);
        let mut shares: BTreeMap<Arc<str>, u32> =
            names.keys().map(|name| (name.clone(), 0)).collect();
        for client in 0..clients {
            for name in sent(&format!("shop/web-{client}"), size, &names) {
                *shares.get_mut(&name).unwrap() += 1;
            }
        }
        let chance = size as f64 / count as f64;
        let (mean, deviation) =
            (f64::from(clients) * chance, (f64::from(clients) * chance * (1.0 - chance)).sqrt());
        for (name, share) in shares {
            let far = (f64::from(share) - mean).abs() / deviation;
            assert!(far < 5.0, "{name} of {count}: {share} clients, expected {mean}");
        }
    }
}

#[test]
fn a_change_costs_each_client_one_endpoint_at_most_and_only_where_it_must() {
    let mut all = names(200);
    let mut clients: Vec<Subsets> =
        (0..50).map(|number| Subsets::of(&format!("shop/web-{number}"))).collect();
    for client in &mut clients {
        client.look(HOST, members(20, &all), []);
    }
    // One after the other goes, and some come back.
    for step in 0..80 {
        let name: Arc<str> = format!("big-{}", step * 7 % 50).into();
        let before: Vec<_> = clients.iter().map(|client| seen(client, &all)).collect();
        let is_gone = all.remove(&name).is_some();
        if !is_gone {
            all.insert(name.clone(), endpoint(&name));
        }
        let mut touched = 0;
        for (client, before) in clients.iter_mut().zip(before) {
            let told: BTreeSet<_> =
                client.look(HOST, members(20, &all), [&*name]).into_iter().collect();
            let after = seen(client, &all);
            assert_eq!(after.len(), 20);
            let (left, come): (Vec<_>, Vec<_>) =
                (before.difference(&after).collect(), after.difference(&before).collect());
            assert!(left.len() <= 1 && left.len() == come.len(), "{left:?} {come:?}");
            let (wanted, got) = if is_gone { (&before, &left) } else { (&after, &come) };
            assert_eq!(got.first() == Some(&&name), wanted.contains(&name));
            assert_eq!(told, left.into_iter().chain(come).cloned().collect());
            touched += usize::from(!told.is_empty());
        }
        assert!(touched < 20, "{touched} of 50 clients are touched, expected 5");
    }
    // Having followed all changes is the same as having come at last.
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(seen(client, &all), sent(&format!("shop/web-{number}"), 20, &all));
    }
}

#[test]
fn the_switch_and_the_threshold_tell_all_that_differs() {
    let (many, few) = (names(120), names(90));
    let mut client = Subsets::of("shop/web-1");
    let told = client.look(HOST, members(30, &many), []);
    assert_eq!(told.len(), 120, "it may have been sent all before");
    let first = seen(&client, &many);
    assert_eq!(client.look(HOST, members(30, &many), []), []);
    let told = client.look(HOST, members(20, &many), []);
    assert!(first.iter().all(|name| told.contains(name)));
    assert!(seen(&client, &many).is_subset(&first));
    let told: BTreeSet<_> = client.look(HOST, members(20, &few), []).into_iter().collect();
    assert!(few.keys().all(|name| told.contains(name)), "all are sent now");
    assert_eq!(seen(&client, &few).len(), 90);
    client.look(HOST, members(20, &many), []);
    let last = seen(&client, &many);
    let told: BTreeSet<_> = client.look(HOST, Members::default(), []).into_iter().collect();
    assert_eq!(told, last, "the host is gone");
}

#[test]
fn what_was_left_is_chosen_anew() {
    let all = names(150);
    let mut client = Subsets::of("shop/web-1");
    for forget in [|it: &mut Subsets| it.forget(HOST), Subsets::clear] {
        client.look(HOST, members(20, &all), []);
        assert_eq!(seen(&client, &all).len(), 20);
        forget(&mut client);
        assert!(client.hosts.is_empty());
    }
}
