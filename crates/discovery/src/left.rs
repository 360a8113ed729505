//! Endpoints and workloads that have left: what callers met there is reported up to an interval later, and that of the last second
//! matters most. A caller, too, tells of its last second when it has left already.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_model::{Affected, Endpoint, Service, Snapshot};
use parking_lot::Mutex;

/// Endpoints by the names of their workloads.
pub(crate) type Endpoints = BTreeMap<Arc<str>, Arc<Endpoint>>;

/// How long they are known at least; twice as long at most.
const KEPT: Duration = Duration::from_secs(30);
/// How many are known at most, of each of two generations: of more, the older ones are forgotten before their time.
const MAX: usize = 10_000;

/// A service: its namespace and its host.
type Of = (Arc<str>, String);

/// Those that have left lately.
#[derive(Debug)]
pub(crate) struct Left(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    young: Generation,
    since: Instant,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    endpoints: HashMap<Of, Arc<Endpoints>>,
    /// Workloads by namespace and name: their service accounts.
    accounts: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
    /// How many there are of both.
    count: usize,
}

impl Generation {
    fn note(&mut self, of: Of, endpoint: &Arc<Endpoint>) {
        let endpoints = Arc::make_mut(self.endpoints.entry(of).or_default());
        if endpoints.insert(endpoint.workload.clone(), endpoint.clone()).is_none() {
            self.count += 1;
        }
    }

    fn note_account(&mut self, workload: (Arc<str>, Arc<str>), account: &str) {
        if self.accounts.insert(workload, account.into()).is_none() {
            self.count += 1;
        }
    }
}

impl Left {
    pub(crate) fn new(now: Instant) -> Left {
        let (young, old) = <_>::default();
        Left(Mutex::new(Generations { young, since: now, old }))
    }

    /// Notes what is gone.
    pub(crate) fn note(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        affected: &Affected,
        now: Instant,
    ) {
        for change in affected.endpoints.iter().filter(|it| it.removed) {
            let host = change.host.as_str();
            for service in before.versions(host) {
                if let Some(endpoint) = service.endpoints.get(&change.workload) {
                    let of = (service.namespace.clone(), host.to_owned());
                    self.0.lock().young(now).note(of, endpoint);
                }
            }
        }
        for (namespace, name) in &affected.workloads {
            let gone = before.workload(namespace, name);
            let gone = gone.filter(|_| after.workload(namespace, name).is_none());
            if let Some(account) = gone.and_then(|it| it.service_account.as_deref()) {
                let workload = (namespace.clone(), name.clone());
                self.0.lock().young(now).note_account(workload, account);
            }
        }
    }

    /// Whether a workload of this name and service account has left lately.
    pub(crate) fn was(&self, namespace: &str, name: &str, account: &str, now: Instant) -> bool {
        let mut generations = self.0.lock();
        generations.age(now);
        let workload = (Arc::from(namespace), Arc::from(name));
        let Generations { young, old, .. } = &*generations;
        [young, old].iter().any(|it| it.accounts.get(&workload).is_some_and(|it| **it == *account))
    }

    /// Those of a service: the ones that left last, and those before them.
    pub(crate) fn of(&self, service: &Service, now: Instant) -> [Arc<Endpoints>; 2] {
        let mut generations = self.0.lock();
        generations.age(now);
        let of = (service.namespace.clone(), service.host.as_str().to_owned());
        let Generations { young, old, .. } = &*generations;
        [young, old].map(|it| it.endpoints.get(&of).cloned().unwrap_or_default())
    }
}

impl Generations {
    /// Where there is room for another one that leaves now.
    fn young(&mut self, now: Instant) -> &mut Generation {
        self.age(now);
        if self.young.count >= MAX {
            self.turn(now);
        }
        &mut self.young
    }

    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= KEPT {
            self.turn(now);
        }
        if age >= KEPT * 2 {
            self.old = Generation::default();
        }
    }

    fn turn(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use meltemi_model::record::ObjectKind;
    use meltemi_model::{Change, Model, Object, Settings, Viewer, read};
    use meltemi_wire::load_stats::{
        ClusterStats, Extension, UpstreamEndpointStats, UpstreamLocalityStats,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::load_stats::reports;
    use crate::publish::Publisher;

    fn endpoint(name: &str) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            workload: name.into(),
            namespace: "default".into(),
            address: "127.0.0.1".into(),
            ports: Vec::new(),
            mutual_tls: None,
            plaintext: Vec::new(),
            identity: None,
            labels: Arc::default(),
            locality: String::new(),
            weight: 0,
            network: String::new(),
        })
    }

    fn of() -> Of {
        ("default".into(), "hello".into())
    }

    fn sizes(left: &Left) -> [usize; 2] {
        let generations = left.0.lock();
        [&generations.young, &generations.old].map(|it| {
            let size = it.endpoints.values().map(|it| it.len()).sum::<usize>() + it.accounts.len();
            assert_eq!(it.count, size);
            size
        })
    }

    #[test]
    fn what_left_is_known_for_a_bounded_time() {
        let start = Instant::now();
        let left = Left::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        left.0.lock().young(at(29)).note(of(), &endpoint("a"));
        left.0.lock().age(at(31));
        assert_eq!(sizes(&left), [0, 1], "two seconds after it left it is still known");
        left.0.lock().young(at(32)).note(of(), &endpoint("b"));
        left.0.lock().age(at(62));
        assert_eq!(sizes(&left), [0, 1]);
        left.0.lock().young(at(63)).note(of(), &endpoint("c"));
        left.0.lock().age(at(600));
        assert_eq!(sizes(&left), [0, 0]);
    }

    #[test]
    fn what_left_is_bounded_in_number() {
        let now = Instant::now();
        let left = Left::new(now);
        for number in 0..MAX * 3 + 5 {
            // Leaving again makes no second one.
            for _ in 0..2 {
                left.0.lock().young(now).note(of(), &endpoint(&format!("a-{number}")));
            }
            let workload = ("shop".into(), format!("a-{number}").into());
            left.0.lock().young(now).note_account(workload, "web");
        }
        let [young, old] = sizes(&left);
        assert!(young <= MAX && old <= MAX, "{young} and {old}");
        let newest = format!("a-{}", MAX * 3 + 4);
        assert!(left.0.lock().young.endpoints[&of()].contains_key(&*newest));
        assert!(left.was("shop", &newest, "web", now));
        assert!(!left.was("shop", "a-0", "web", now), "forgotten before its time");
    }

    /// What callers in `shop` are taken to tell of calls to the endpoints of a service there, all of which they ejected.
    fn told(publisher: &Publisher, workloads: &[&str]) -> Vec<(String, bool)> {
        let endpoint = |workload: &&str| UpstreamEndpointStats {
            total_issued_requests: 1,
            total_successful_requests: 1,
            metadata: Some(
                Extension {
                    workload: Some((*workload).to_owned()),
                    ejected: Some("5xx".into()),
                    ..Extension::default()
                }
                .to_metadata(),
            ),
            ..UpstreamEndpointStats::default()
        };
        let locality = UpstreamLocalityStats {
            upstream_endpoint_stats: workloads.iter().map(endpoint).collect(),
            ..UpstreamLocalityStats::default()
        };
        let stats = ClusterStats {
            cluster_name: "outbound|80||web.shop.svc.cluster.local".into(),
            upstream_locality_stats: vec![locality],
            ..ClusterStats::default()
        };
        let snapshot = publisher.snapshot();
        let reports = reports(&snapshot, publisher.left(), &Viewer::of("shop"), &[stats]);
        let words =
            reports.iter().map(|it| (it.endpoint.workload.to_string(), it.ejected.is_some()));
        words.collect()
    }

    #[test]
    fn what_was_met_at_an_endpoint_that_has_just_left_is_kept() {
        let domain = "cluster.local".parse().expect("a domain");
        let settings = Settings::new(domain, "svc.cluster.local");
        let mut model = Model::new(settings.clone());
        let put = |kind: ObjectKind, name: &str, mut resource: Value| {
            resource["metadata"] = json!({"name": name, "namespace": "shop"});
            read::change(Object::new(kind, "shop", name), &resource, &settings)
        };
        let spec = json!({"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}});
        let entry = json!({"spec": {
            "address": "10.0.0.1", "labels": {"app": "web"}, "ports": {"http": 8080},
        }});
        let publisher = Publisher::default();
        let mut publish = |version: u64, changes: Vec<Change>| {
            let (snapshot, affected) = model.apply(version, changes);
            publisher.publish(snapshot, &affected);
        };
        let service = put(ObjectKind::Service, "web", json!({ "spec": spec }));
        let workload = |name: &str| put(ObjectKind::WorkloadEntry, name, entry.clone());
        publish(1, vec![service, workload("web-1"), workload("web-2")]);
        publish(2, vec![Change::Remove(Object::new(ObjectKind::WorkloadEntry, "shop", "web-1"))]);
        let names = ["shop/web-1", "shop/web-2", "shop/web-3", "other/web-1"];
        let expected = [("shop/web-1".to_owned(), false), ("shop/web-2".to_owned(), true)];
        assert_eq!(told(&publisher, &names), expected);
    }
}
