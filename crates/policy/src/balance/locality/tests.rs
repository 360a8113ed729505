//! Who comes before whom, and who has which share: tables after Istio's documentation and tests.

use super::*;

/// Endpoints by place and labels, arranged for a client.
fn arranged(
    endpoints: &[(&str, &str)],
    here: (&str, &str),
    setting: LocalityLbSetting,
    is_failover_possible: bool,
) -> Vec<Vec<(u32, Vec<u32>)>> {
    let labels = |text: &str| -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let all: Vec<BTreeMap<String, String>> = endpoints.iter().map(|(_, it)| labels(it)).collect();
    let endpoints: Vec<Endpoint<'_>> = endpoints
        .iter()
        .zip(&all)
        .map(|((locality, _), labels)| Endpoint {
            name: locality,
            weight: 1,
            locality,
            network: "",
            cluster: "",
            labels,
            is_healthy: true,
            is_ejected: false,
            ready_since: None,
            observed: None,
        })
        .collect();
    let own = labels(here.1);
    let client = Client { locality: here.0, network: "net", cluster: "", labels: &own };
    let levels = arrange(&endpoints, &client, Some(&setting), is_failover_possible);
    let group = |group: Group| (group.weight, group.members);
    levels.into_iter().map(|level| level.into_iter().map(group).collect()).collect()
}

fn members(levels: Vec<Vec<(u32, Vec<u32>)>>) -> Vec<Vec<u32>> {
    levels.into_iter().map(|level| level.into_iter().flat_map(|(_, it)| it).collect()).collect()
}

const PLACES: [(&str, &str); 6] = [
    ("us/west/a", ""),
    ("eu/north/a", ""),
    ("eu/south/b", ""),
    ("eu/south/a", ""),
    ("asia/x/y", ""),
    ("", ""),
];

#[test]
fn the_nearest_come_first_and_rules_say_which_region_helps() {
    let helper = LocalityFailover { from: "eu".into(), to: "asia".into() };
    let ruled = LocalityLbSetting { failover: vec![helper], ..Default::default() };
    let off = LocalityLbSetting { enabled: Some(false), ..ruled.clone() };
    let all = vec![vec![0, 1, 2, 3, 4, 5]];
    for (here, setting, possible, expected) in [
        ("eu/south/a", Default::default(), true, vec![vec![3], vec![2], vec![1], vec![0, 4, 5]]),
        ("eu/south/a", ruled.clone(), true, vec![vec![3], vec![2], vec![1], vec![4], vec![0, 5]]),
        // The rule is for another region.
        ("us/west/a", ruled.clone(), true, vec![vec![0], vec![1, 2, 3, 4, 5]]),
        // Without outlier detection nothing would find that the first fail.
        ("eu/south/a", ruled.clone(), false, all.clone()),
        ("eu/south/a", off, true, all.clone()),
        ("", ruled, true, all.clone()),
        ("mars", Default::default(), true, all),
    ] {
        let got = members(arranged(&PLACES, (here, ""), setting, possible));
        assert_eq!(got, expected, "{here} {possible}");
    }
}

#[test]
fn labels_rank_endpoints() {
    let endpoints = [
        ("eu/a/1", "version=v1,tier=gold"),
        ("eu/b/1", "version=v1,tier=gold"),
        ("us/a/1", "version=v1,tier=gold"),
        ("eu/a/1", "version=v2,tier=gold"),
        ("eu/a/1", "version=v1"),
    ];
    let by = |labels: &[&str]| LocalityLbSetting {
        failover_priority: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..Default::default()
    };
    let here = ("eu/a/1", "version=v1,tier=gold");
    let ranked = |setting| members(arranged(&endpoints, here, setting, true));
    assert_eq!(ranked(by(&["version", "tier"])), [vec![0, 1, 2], vec![4], vec![3]]);
    // Labels of topology are known without being written.
    let topology = by(&["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]);
    assert_eq!(ranked(topology), [vec![0, 3, 4], vec![1], vec![2]]);
    // A value of the rule's own.
    assert_eq!(ranked(by(&["version=v2"])), [vec![3], vec![0, 1, 2, 4]]);
    // Both ways together: places decide among those that labels rank alike.
    let mut both = by(&["version"]);
    both.failover = vec![LocalityFailover { from: "eu".into(), to: "us".into() }];
    assert_eq!(ranked(both), [vec![0, 4], vec![1], vec![2], vec![3]]);
}

#[test]
fn shares_go_to_places() {
    let share = |from: &str, to: &[(&str, u32)]| LocalityDistribute {
        from: from.into(),
        to: to.iter().map(|(place, share)| ((*place).to_owned(), *share)).collect(),
    };
    let setting = LocalityLbSetting {
        distribute: vec![
            share("us/*", &[("us/west/a", 100)]),
            share("eu/south/*", &[("eu/south/a", 70), ("eu/*", 20), ("us/west/*", 10)]),
        ],
        ..Default::default()
    };
    // No outlier detection is needed. Places that are not named get nothing; two places have a half each of their share.
    let got = arranged(&PLACES, ("eu/south/c", ""), setting.clone(), false);
    let percent = |percent: u32| percent * WHOLE;
    let expected = vec![
        (percent(70), vec![3]),
        (percent(10), vec![0]),
        (percent(10), vec![1]),
        (percent(10), vec![2]),
    ];
    assert_eq!(got, [expected]);
    // Nobody's rule: all alike.
    let got = arranged(&PLACES, ("asia/x/y", ""), setting, true);
    assert_eq!(members(got), [vec![0, 1, 2, 3, 4, 5]]);
}
