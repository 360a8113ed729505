//! The proxy's own small figures (connections, pools, versions): counters and gauges by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// A figure that only grows. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The figure.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A figure that goes up and down. Cheap to clone; it is in the output as long as a clone of it
/// lives, so that the gauge of a pool goes with the pool.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Replaces the figure.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `amount`, which may be negative.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The figure.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Counters and gauges by name and labels. Registering the same name and labels again gives the
/// same figure.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    samples: BTreeMap<Labels, Sample>,
}

pub(crate) type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
enum Sample {
    Counter(Counter),
    /// One of each shard, written as their sum.
    Sharded(Vec<Counter>),
    Gauge(Weak<AtomicI64>),
    Constant(f64),
}

/// A family of counters or gauges as a scrape sees it.
#[derive(Debug, PartialEq)]
pub struct Figures {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) counter: bool,
    pub(crate) samples: Vec<(Labels, f64)>,
}

impl Figures {
    /// Gauges of this name.
    pub fn gauges(name: &'static str, help: &'static str) -> Figures {
        Figures { name, help, counter: false, samples: Vec::new() }
    }

    /// Counters of this name, which ends in `_total`.
    pub fn counters(name: &'static str, help: &'static str) -> Figures {
        debug_assert!(name.ends_with("_total"), "a counter's name ends in _total: {name}");
        Figures { counter: true, ..Figures::gauges(name, help) }
    }

    /// One more of them.
    pub fn push(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.samples.push((own(labels), value));
    }
}

impl Registry {
    /// The counter of this name and these labels. The name ends in `_total`, as Prometheus asks.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Counter {
        debug_assert!(name.ends_with("_total"), "a counter's name ends in _total: {name}");
        let mut families = self.families.lock();
        let samples = &mut families.entry(name).or_insert_with(|| Family::new(help)).samples;
        let owned = own(labels);
        if let Some(Sample::Counter(counter)) = samples.get(&owned) {
            return counter.clone();
        }
        let counter = Counter::default();
        samples.insert(owned, Sample::Counter(counter.clone()));
        counter
    }

    /// A further counter of this name and these labels, of which the sum is written: those who count often count each in
    /// one of their own, and share no cache line.
    pub fn counter_shard(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Counter {
        debug_assert!(name.ends_with("_total"), "a counter's name ends in _total: {name}");
        let mut families = self.families.lock();
        let samples = &mut families.entry(name).or_insert_with(|| Family::new(help)).samples;
        let sample = samples.entry(own(labels)).or_insert_with(|| Sample::Sharded(Vec::new()));
        let counter = Counter::default();
        match sample {
            Sample::Sharded(shards) => shards.push(counter.clone()),
            other => *other = Sample::Sharded(vec![counter.clone()]),
        }
        counter
    }

    /// The gauge of this name and these labels; it leaves the output with its last clone.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Gauge {
        let mut families = self.families.lock();
        let samples = &mut families.entry(name).or_insert_with(|| Family::new(help)).samples;
        let owned = own(labels);
        if let Some(Sample::Gauge(weak)) = samples.get(&owned)
            && let Some(cell) = weak.upgrade()
        {
            return Gauge(cell);
        }
        let gauge = Gauge::default();
        samples.insert(owned, Sample::Gauge(Arc::downgrade(&gauge.0)));
        gauge
    }

    /// A figure that never changes, such as the `1` of a build's description.
    pub fn constant(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        let mut families = self.families.lock();
        let family = families.entry(name).or_insert_with(|| Family::new(help));
        family.samples.insert(own(labels), Sample::Constant(value));
    }

    /// What there is to write; forgets gauges that nobody holds any more.
    pub(crate) fn snapshot(&self) -> Vec<Figures> {
        let mut families = self.families.lock();
        for family in families.values_mut() {
            family.samples.retain(|_, sample| sample.value().is_some());
        }
        families.retain(|_, family| !family.samples.is_empty());
        families.iter().map(|(name, family)| family.snapshot(name)).collect()
    }
}

impl Family {
    fn new(help: &'static str) -> Family {
        Family { help, samples: BTreeMap::new() }
    }

    fn snapshot(&self, name: &'static str) -> Figures {
        Figures {
            name,
            help: self.help,
            counter: (self.samples.values())
                .any(|it| matches!(it, Sample::Counter(_) | Sample::Sharded(_))),
            samples: (self.samples.iter())
                .filter_map(|(labels, sample)| Some((labels.clone(), sample.value()?)))
                .collect(),
        }
    }
}

impl Sample {
    fn value(&self) -> Option<f64> {
        match self {
            Sample::Counter(counter) => Some(counter.value() as f64),
            Sample::Sharded(shards) => Some(shards.iter().map(Counter::value).sum::<u64>() as f64),
            Sample::Gauge(weak) => Some(weak.upgrade()?.load(Relaxed) as f64),
            Sample::Constant(value) => Some(*value),
        }
    }
}

fn own(labels: &[(&'static str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_figure() {
        let registry = Registry::default();
        registry.counter("a_total", "A.", &[("k", "1")]).add_one();
        registry.counter("a_total", "A.", &[("k", "1")]).add(2);
        registry.counter("a_total", "A.", &[("k", "2")]).add_one();
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.len(), 1);
        let values: Vec<f64> = snapshot[0].samples.iter().map(|s| s.1).collect();
        assert_eq!(values, [3.0, 1.0]);
        assert!(snapshot[0].counter);
    }

    #[test]
    fn shards_are_written_as_their_sum() {
        let registry = Registry::default();
        let shards = [(), ()].map(|()| registry.counter_shard("a_total", "A.", &[("k", "1")]));
        shards[0].add(2);
        shards[1].add_one();
        let snapshot = registry.snapshot();
        assert_eq!((snapshot[0].samples[0].1, snapshot[0].counter), (3.0, true));
    }

    #[test]
    fn a_gauge_goes_with_its_last_holder() {
        let registry = Registry::default();
        let gauge = registry.gauge("pool", "P.", &[("service", "a")]);
        let again = registry.gauge("pool", "P.", &[("service", "a")]);
        gauge.set(5);
        again.add(-2);
        assert_eq!(registry.snapshot()[0].samples[0].1, 3.0);
        drop((gauge, again));
        assert!(registry.snapshot().is_empty());
    }
}
