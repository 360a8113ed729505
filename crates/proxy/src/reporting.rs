//! What a workload's proxy says of its load to proxies that ask, and how they read it: a header in the form of ORCA.
//!
//! `endpoint-load-metrics: TEXT named_metrics.meltemi.requests_in_flight=12,named_metrics.meltemi.latency=0.0315,...`, as Envoy
//! writes and reads it; these two names are ours, the latency is in seconds. `cpu_utilization`, `rps_fractional` and `eps` are
//! the standard's, and stand there where they are known. What an application itself says in such a header goes on to its
//! caller, as with Envoy.

mod usage;
mod word;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use meltemi_policy::balance::Meter;

use crate::clock;
use crate::http::head::{Fields, RequestHead};
use crate::http::known::Known;

pub(crate) use usage::CpuTime;
pub(crate) use word::{LONGEST, of_message, take};

use usage::Usage;

/// The field that bears our word.
pub(crate) const NAME: &[u8] = b"endpoint-load-metrics";

/// The load of the workload, over all workers.
#[derive(Debug)]
pub(crate) struct Meters {
    each: Box<[Meter]>,
    /// Whether anybody has ever asked: until then nothing is counted.
    is_asked: AtomicBool,
    usage: Usage,
}

/// One worker's view of it.
#[derive(Debug, Clone)]
pub(crate) struct Reporting {
    meters: Arc<Meters>,
    index: usize,
}

/// A request at the application, while this lives.
pub(crate) struct Metered<'w> {
    reporting: &'w Reporting,
    came: Duration,
    is_wanted: bool,
    is_answered: Cell<bool>,
}

impl Meters {
    pub(crate) fn new(workers: usize) -> Arc<Meters> {
        let each = (0..workers.max(1)).map(|_| Meter::default()).collect();
        Arc::new(Meters { each, is_asked: AtomicBool::new(false), usage: Usage::default() })
    }

    /// Tells how to find out how much time of processors the application has had.
    pub(crate) fn measure_cpu(&self, time: CpuTime) {
        self.usage.measure_cpu(time);
    }

    /// Our word.
    fn tell<'t>(&self, now: Duration, text: &'t mut [u8; LONGEST]) -> &'t [u8] {
        word::write(Meter::report(self.each.iter(), now), &self.usage.text(), text)
    }

    /// Looks at what changes slowly, for as long as it is polled.
    pub(crate) async fn follow(self: Arc<Self>) {
        usage::follow(self).await;
    }
}

impl Reporting {
    /// For the worker of that index.
    pub(crate) fn new(meters: Arc<Meters>, index: usize) -> Reporting {
        Reporting { meters, index }
    }

    /// A request goes to the application; what it asks of us it does not ask of that. `None` where nobody has ever asked.
    pub(crate) fn begin(&self, head: &mut RequestHead) -> Option<Metered<'_>> {
        let is_wanted = head.fields.find(Known::ReportLoad).is_some();
        if is_wanted {
            head.fields.remove(Known::ReportLoad);
            if !self.meters.is_asked.load(Relaxed) {
                self.meters.is_asked.store(true, Relaxed);
            }
        } else if !self.meters.is_asked.load(Relaxed) {
            return None;
        }
        let came = clock::now();
        self.meter().begin(came);
        Some(Metered { reporting: self, came, is_wanted, is_answered: Cell::new(false) })
    }

    /// Our word, for somebody who asks for nothing else. From now on requests are counted.
    pub(crate) fn tell<'t>(&self, text: &'t mut [u8; LONGEST]) -> &'t [u8] {
        self.meters.is_asked.store(true, Relaxed);
        self.meters.tell(clock::now(), text)
    }

    fn meter(&self) -> &Meter {
        &self.meters.each[self.index % self.meters.each.len()]
    }
}

impl Metered<'_> {
    /// The answer begins: its head bears our word, if it is wanted.
    pub(crate) fn answer(&self, status: u16, fields: &mut Fields) {
        let now = clock::now();
        let meter = self.reporting.meter();
        meter.answer(self.came, now);
        meter.count(status >= 500);
        self.is_answered.set(true);
        if self.is_wanted {
            let mut text = [0; LONGEST];
            fields.push(NAME, self.reporting.meters.tell(now, &mut text));
        }
    }
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        let meter = self.reporting.meter();
        if !self.is_answered.get() {
            meter.give_up(self.came);
        }
        meter.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(head: &mut RequestHead) {
        head.fields.push(b"x-meltemi-report-load", b"1");
    }

    #[test]
    fn nobody_is_counted_before_somebody_asks() {
        let reporting = Reporting::new(Meters::new(1), 0);
        let mut head = RequestHead::default();
        assert!(reporting.begin(&mut head).is_none());
        asking(&mut head);
        let mut answer = Fields::default();
        let first = reporting.begin(&mut head).unwrap();
        assert!(head.fields.is_empty(), "the application is not asked");
        let second = reporting.begin(&mut head).unwrap();
        second.answer(200, &mut answer);
        assert!(answer.is_empty(), "it had not asked");
        first.answer(200, &mut answer);
        assert_eq!(take(&mut answer).report.unwrap().in_flight, 2.0);
        assert!(answer.is_empty());
        drop((first, second));
        asking(&mut head);
        reporting.begin(&mut head).unwrap().answer(503, &mut answer);
        assert_eq!(take(&mut answer).report.unwrap().in_flight, 1.0);
        assert_eq!(Meter::totals(reporting.meters.each.iter()), (3, 1));
    }
}
