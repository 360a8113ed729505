//! Which endpoints a client prefers by where they are: Istio's locality load balancing, worked out when endpoints change.

use std::collections::BTreeMap;

use super::endpoint::{Client, Endpoint};
use crate::destination::rule::{LocalityDistribute, LocalityFailover, LocalityLbSetting};

/// The weight of a group that is alone; shares of a hundred are multiples of it.
const WHOLE: u32 = 1_000_000;

/// Endpoints that are used alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its share among the groups of its priority.
    pub(crate) weight: u32,
    /// Indices of endpoints.
    pub(crate) members: Vec<u32>,
}

/// Arranges endpoints in priorities, the first first, each of groups.
///
/// `distribute` makes one priority with a group for each place, and leaves out endpoints of other places, if one of its
/// `from` is where the client is. Otherwise there are priorities, if outlier detection can find that endpoints fail (Istio asks
/// for it, because without it the next priority would never be used): by `failoverPriority`, by `failover`, or by both; the
/// nearest first where neither is set. A client whose place is not known prefers none. With `enabled: false` all are alike.
pub(crate) fn arrange(
    endpoints: &[Endpoint<'_>],
    client: &Client<'_>,
    setting: Option<&LocalityLbSetting>,
    is_failover_possible: bool,
) -> Vec<Vec<Group>> {
    let default = LocalityLbSetting::default();
    let setting = setting.unwrap_or(&default);
    let is_enabled = setting.enabled != Some(false);
    if is_enabled && !setting.distribute.is_empty() {
        let here = Place::new(client.locality);
        let shares = setting.distribute.iter().find(|it| covers(&it.from, here));
        return match shares {
            Some(shares) => vec![distribute(endpoints, shares)],
            None => alike(endpoints),
        };
    }
    if is_enabled && is_failover_possible {
        return by_priority(endpoints, client, setting);
    }
    alike(endpoints)
}

fn alike(endpoints: &[Endpoint<'_>]) -> Vec<Vec<Group>> {
    vec![vec![Group { weight: WHOLE, members: (0..endpoints.len() as u32).collect() }]]
}

/// A place `region/zone/subzone`; what is missing is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    region: &'a str,
    zone: &'a str,
    subzone: &'a str,
}

impl<'a> Place<'a> {
    fn new(text: &'a str) -> Place<'a> {
        let mut parts = text.splitn(3, '/');
        let mut part = || parts.next().unwrap_or("");
        Place { region: part(), zone: part(), subzone: part() }
    }
}

/// Whether a place of a rule covers another: `*` covers all, and so do zone and subzone that are left out.
fn covers(rule: &str, place: Place<'_>) -> bool {
    let rule = Place::new(rule);
    let is_in = |rule: &str, part: &str| rule == "*" || rule == part;
    is_in(rule.region, place.region)
        && (rule.zone.is_empty() || is_in(rule.zone, place.zone))
        && (rule.subzone.is_empty() || is_in(rule.subzone, place.subzone))
}

fn distribute(endpoints: &[Endpoint<'_>], shares: &LocalityDistribute) -> Vec<Group> {
    let mut places: BTreeMap<&str, (u64, Vec<u32>)> = BTreeMap::new();
    for (index, endpoint) in (0u32..).zip(endpoints) {
        let (weight, members) = places.entry(endpoint.locality).or_default();
        *weight += u64::from(endpoint.weight.max(1));
        members.push(index);
    }
    let mut groups = Vec::new();
    // The longer text is the more specific one; each place is one rule's only.
    let mut rules: Vec<(&String, &u32)> = shares.to.iter().collect();
    rules.sort_by_key(|(rule, _)| (rule.contains('*'), usize::MAX - rule.len()));
    for (rule, share) in rules {
        let covered = |place: &&str| covers(rule, Place::new(place));
        let names: Vec<&str> = places.keys().copied().filter(covered).collect();
        let total: u64 = names.iter().map(|name| places[name].0).sum();
        for (weight, members) in names.into_iter().filter_map(|name| places.remove(name)) {
            // Fine enough that a place of many that share a portion still has its part.
            let portion = u128::from(*share.min(&100)) * u128::from(WHOLE) * u128::from(weight);
            let weight = portion.checked_div(u128::from(total)).unwrap_or(0) as u32;
            groups.push(Group { weight, members });
        }
    }
    groups
}

fn by_priority(
    endpoints: &[Endpoint<'_>],
    client: &Client<'_>,
    setting: &LocalityLbSetting,
) -> Vec<Vec<Group>> {
    let by_labels = !setting.failover_priority.is_empty();
    let by_place = !client.locality.is_empty() && (!by_labels || !setting.failover.is_empty());
    let mut levels: BTreeMap<(usize, u32), Vec<u32>> = BTreeMap::new();
    for (index, endpoint) in (0u32..).zip(endpoints) {
        let first =
            if by_labels { label_rank(endpoint, client, &setting.failover_priority) } else { 0 };
        let second = if by_place { place_rank(endpoint, client, &setting.failover) } else { 0 };
        levels.entry((first, second)).or_default().push(index);
    }
    if levels.is_empty() {
        return alike(endpoints);
    }
    levels.into_values().map(|members| vec![Group { weight: WHOLE, members }]).collect()
}

/// 0 where all labels agree, otherwise the more the earlier in the list the first one is that does not.
fn label_rank(endpoint: &Endpoint<'_>, client: &Client<'_>, labels: &[String]) -> usize {
    let differs = |label: &String| {
        let (key, wanted) = match label.split_once('=') {
            Some((key, value)) => (key, value),
            None => (label.as_str(), client.label(label)),
        };
        endpoint.label(key) != wanted
    };
    labels.iter().position(differs).map_or(0, |first| labels.len() - first)
}

/// 0 in the same subzone, 1 in the same zone, 2 in the same region, 3 elsewhere; 4 where the region is not the one that a rule
/// names as the client's helper.
fn place_rank(endpoint: &Endpoint<'_>, client: &Client<'_>, failover: &[LocalityFailover]) -> u32 {
    let (here, there) = (Place::new(client.locality), Place::new(endpoint.locality));
    if here.region != there.region {
        let rule = failover.iter().find(|rule| rule.from == here.region);
        return if rule.is_some_and(|rule| rule.to != there.region) { 4 } else { 3 };
    }
    match (here.zone == there.zone, here.subzone == there.subzone) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

#[cfg(test)]
mod tests;
