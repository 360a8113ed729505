//! What a workload's proxy says of its load to proxies that ask, and how they read it: a header in the form of ORCA.
//!
//! `endpoint-load-metrics: TEXT named_metrics.meltemi.requests_in_flight=12,named_metrics.meltemi.latency=0.0315`, as Envoy
//! writes and reads it (`source/common/orca/orca_parser.h`); the names within are ours, the latency is in seconds. What an
//! application itself says in such a header goes on to its caller, as with Envoy.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use meltemi_policy::balance::{Meter, Report};

use crate::clock;
use crate::http::head::{Fields, RequestHead};
use crate::http::known::Known;

/// What our own words begin with.
const OWN: &[u8] = b"TEXT named_metrics.meltemi.";
const IN_FLIGHT: &str = "named_metrics.meltemi.requests_in_flight";
const LATENCY: &str = "named_metrics.meltemi.latency";
/// Room for both names, and numbers of twenty places.
const LONGEST: usize = 144;

/// The load of the workload, over all workers.
#[derive(Debug)]
pub(crate) struct Meters {
    each: Box<[Meter]>,
    /// Whether anybody has ever asked: until then nothing is counted.
    is_asked: AtomicBool,
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
        Arc::new(Meters { each, is_asked: AtomicBool::new(false) })
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

    fn meter(&self) -> &Meter {
        &self.meters.each[self.index % self.meters.each.len()]
    }
}

impl Metered<'_> {
    /// The answer begins: its head bears our word, if it is wanted.
    pub(crate) fn answer(&self, fields: &mut Fields) {
        let now = clock::now();
        self.reporting.meter().answer(self.came, now);
        self.is_answered.set(true);
        if self.is_wanted {
            let report = Meter::report(self.reporting.meters.each.iter(), now);
            let mut text = [0; LONGEST];
            fields.push(b"endpoint-load-metrics", write(report, &mut text));
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

fn write(report: Report, text: &mut [u8; LONGEST]) -> &[u8] {
    let mut rest = &mut text[..];
    let Report { in_flight, latency } = report;
    // What is longer than the room cannot be: a `u32`, and a time below the age of the process.
    let _ = write!(rest, "TEXT {IN_FLIGHT}={in_flight},{LATENCY}={:.6}", latency.as_secs_f32());
    let length = LONGEST - rest.len();
    &text[..length]
}

/// Takes another proxy's word out of the head of its answer.
pub(crate) fn take(fields: &mut Fields) -> Option<Report> {
    let own = |value: &[u8]| value.starts_with(OWN);
    let report = fields.find_all(Known::EndpointLoadMetrics).find(|value| own(value)).map(read)?;
    fields.retain(|known, _, value| known != Known::EndpointLoadMetrics || !own(value));
    report
}

/// Reads what [`write`] wrote. What cannot be read is not there.
fn read(text: &[u8]) -> Option<Report> {
    let text = std::str::from_utf8(text.strip_prefix(b"TEXT ")?).ok()?;
    let mut report = Report::default();
    let mut has_load = false;
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let value: f32 =
            value.trim().parse().ok().filter(|it: &f32| it.is_finite() && *it >= 0.0)?;
        match name.trim() {
            IN_FLIGHT => (report.in_flight, has_load) = (value, true),
            LATENCY => report.latency = Duration::try_from_secs_f32(value).ok()?,
            _ => {}
        }
    }
    has_load.then_some(report)
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
        second.answer(&mut answer);
        assert!(answer.is_empty(), "it had not asked");
        first.answer(&mut answer);
        assert_eq!(take(&mut answer).unwrap().in_flight, 2.0);
        assert!(answer.is_empty());
        drop((first, second));
        asking(&mut head);
        reporting.begin(&mut head).unwrap().answer(&mut answer);
        assert_eq!(take(&mut answer).unwrap().in_flight, 1.0);
    }

    #[test]
    fn what_was_written_is_read() {
        for (in_flight, seconds) in [(0.0, 0.0), (12.0, 0.031_5), (4_294_967_000.0, 86_400.0)] {
            let report = Report { in_flight, latency: Duration::from_secs_f32(seconds) };
            let mut fields = Fields::default();
            fields.push(b"endpoint-load-metrics", b"TEXT cpu_utilization=0.3");
            fields.push(b"Endpoint-Load-Metrics", write(report, &mut [0; LONGEST]));
            let read = take(&mut fields).unwrap();
            assert_eq!(read.in_flight, in_flight);
            assert!((read.latency.as_secs_f32() - seconds).abs() < 1e-5 * (1.0 + seconds));
            assert_eq!(fields.len(), 1, "the application's own word stays");
        }
    }

    #[test]
    fn what_is_no_number_is_not_there() {
        let load = "TEXT named_metrics.meltemi.requests_in_flight";
        for wrong in ["=", "=x", "=-1", "=NaN", "=inf", "", "=1,named_metrics.meltemi.latency=1e30"]
        {
            let mut fields = Fields::default();
            fields.push(b"endpoint-load-metrics", format!("{load}{wrong}").as_bytes());
            assert_eq!(take(&mut fields), None, "{wrong}");
            assert!(fields.is_empty(), "{wrong}");
        }
    }
}
