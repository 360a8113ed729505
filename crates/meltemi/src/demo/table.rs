//! The live table: what it says, and how it is repainted in place on a terminal. Elsewhere it comes as plain lines.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use super::DemoError;
use super::figures::{ServiceFigures, share};
use super::summary::percent;
use crate::exit::Failure;
use crate::output;

/// How often plain lines come.
const EVERY: Duration = Duration::from_secs(5);
/// A terminal that does not say how wide it is.
const WIDTH: usize = 80;

/// What the table shows.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Since when traffic flows.
    pub(super) elapsed: Duration,
    /// The time over which the figures were counted.
    pub(super) window: Duration,
    /// Each service's figures over that time.
    pub(super) services: Vec<ServiceFigures>,
    /// The share of all requests so far that came over mutual TLS.
    pub(super) mtls_share: Option<f64>,
    /// Processes that have ended meanwhile.
    pub(super) gone: Vec<String>,
}

/// Where the table is painted.
#[derive(Debug)]
pub(super) struct Painter {
    on_terminal: bool,
    /// Lines of the table that stands there.
    painted: usize,
    /// When plain lines are due next.
    due: Duration,
}

impl Painter {
    /// Paints on standard output.
    pub(super) fn on_stdout() -> Painter {
        Painter { on_terminal: stdout().is_terminal(), painted: 0, due: EVERY }
    }

    /// Paints the table anew, or its lines below those before when they are due.
    pub(super) fn paint(&mut self, view: &View) -> Result<(), DemoError> {
        if !self.on_terminal {
            if view.elapsed < self.due {
                return Ok(());
            }
            self.due = view.elapsed + EVERY;
            return print(&plain(view));
        }
        let width = rustix::termios::tcgetwinsize(stdout());
        let width = width.map_or(WIDTH, |size| size.ws_col.into()).max(1);
        let table = table(view);
        let mut text = String::new();
        if self.painted > 0 {
            // Back to the first line of the table, and clear what is below.
            let _ = write!(text, "\x1b[{}F\x1b[J", self.painted);
        }
        for line in table.lines() {
            // A line that the terminal breaks would be two.
            text.extend(line.chars().take(width - 1));
            text.push('\n');
        }
        self.painted = table.lines().count();
        print(&text)
    }
}

/// Prints on standard output.
pub(super) fn print(text: &str) -> Result<(), DemoError> {
    output::print(text).map_err(|failure| match failure {
        Failure::Usage(reason) | Failure::Failed(reason) => DemoError::System {
            what: "show the figures".to_owned(),
            reason: std::io::Error::other(reason),
        },
        Failure::Code(_) => DemoError::NoReader,
    })
}

/// The table for a terminal.
fn table(view: &View) -> String {
    let mut text = format!(
        "{:<10}{:>7} {:>8} {:>9} {:>9}  {:<16}{:<8}{:>7}\n",
        "SERVICE", "REQ/S", "SUCCESS", "P50", "P99", "ENDPOINT", "VERSION", "SHARE"
    );
    for service in &view.services {
        let counts = &service.counts;
        let mut start = format!(
            "{:<10}{:>7.1} {:>8} {:>9} {:>9}",
            service.service,
            rate(counts.requests, view.window),
            or_dash(counts.success_rate().map(percent)),
            millis(service, 0.5),
            millis(service, 0.99),
        );
        let width = start.chars().count();
        for endpoint in &service.endpoints {
            let share = share(endpoint.requests, counts.requests);
            let share = or_dash(share.map(|share| format!("{:.1} %", share * 100.0)));
            let (address, version) = (&endpoint.address, endpoint.version);
            let _ = writeln!(text, "{start}  {address:<16}{version:<8}{share:>7}");
            // The service's own figures stand on its first line.
            start = " ".repeat(width);
        }
    }
    let _ = writeln!(text, "\n{}", foot(view));
    for gone in &view.gone {
        let _ = writeln!(text, "{gone}");
    }
    text
}

/// One line a service, for a file or a pipe.
fn plain(view: &View) -> String {
    let mut text = format!("{}\n", foot(view));
    for service in &view.services {
        let counts = &service.counts;
        let _ = write!(
            text,
            "  {} {:.1}/s, {} succeeded, p50 {}, p99 {};",
            service.service,
            rate(counts.requests, view.window),
            or_dash(counts.success_rate().map(percent)),
            millis(service, 0.5),
            millis(service, 0.99)
        );
        for endpoint in &service.endpoints {
            let share = or_dash(share(endpoint.requests, counts.requests).map(percent));
            let _ = write!(text, " {} ({}) {share}", endpoint.address, endpoint.version);
        }
        text.push('\n');
    }
    for gone in &view.gone {
        let _ = writeln!(text, "  {gone}");
    }
    text
}

fn foot(view: &View) -> String {
    let share = or_dash(view.mtls_share.map(percent));
    format!("{} s; over mTLS: {share}", view.elapsed.as_secs())
}

fn rate(requests: u64, window: Duration) -> f64 {
    if window.is_zero() { 0.0 } else { requests as f64 / window.as_secs_f64() }
}

fn millis(service: &ServiceFigures, quantile: f64) -> String {
    or_dash(service.counts.durations.quantile(quantile).map(|millis| format!("{millis:.1} ms")))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use meltemi_telemetry::scrape::Histogram;

    use super::super::figures::{Counts, EndpointFigures};
    use super::*;

    fn view() -> View {
        let endpoint = |port: u16, version, requests| EndpointFigures {
            address: format!("127.0.0.1:{port}"),
            version,
            requests,
        };
        let durations = Histogram { buckets: vec![(1.0, 200.0), (f64::INFINITY, 200.0)] };
        let counts = Counts { requests: 200, succeeded: 190, mutual_tls: 200, durations };
        let reviews = ServiceFigures {
            service: "reviews",
            counts,
            endpoints: vec![endpoint(20001, "v1", 50), endpoint(20002, "v2", 150)],
        };
        let ratings = ServiceFigures {
            service: "ratings",
            counts: Counts::default(),
            endpoints: vec![endpoint(20003, "v1", 0)],
        };
        View {
            elapsed: Duration::from_secs(12),
            window: Duration::from_secs(2),
            services: vec![reviews, ratings],
            mtls_share: Some(1.0),
            gone: vec!["reviews-v3 has ended (signal: 9)".to_owned()],
        }
    }

    #[test]
    fn the_table_has_a_line_an_endpoint_and_the_services_figures_on_its_first() {
        let expected = "\
SERVICE     REQ/S  SUCCESS       P50       P99  ENDPOINT        VERSION   SHARE
reviews     100.0  95.00 %    0.5 ms    1.0 ms  127.0.0.1:20001 v1       25.0 %
                                                127.0.0.1:20002 v2       75.0 %
ratings       0.0        -         -         -  127.0.0.1:20003 v1            -

12 s; over mTLS: 100.00 %
reviews-v3 has ended (signal: 9)
";
        assert_eq!(table(&view()), expected);
        assert!(expected.lines().all(|line| line.chars().count() < WIDTH));
    }

    #[test]
    fn elsewhere_it_is_one_line_a_service() {
        let text = plain(&view());
        assert_eq!(text.lines().count(), 4, "{text}");
        let line = "  reviews 100.0/s, 95.00 % succeeded, p50 0.5 ms, p99 1.0 ms; \
                    127.0.0.1:20001 (v1) 25.00 % 127.0.0.1:20002 (v2) 75.00 %\n";
        assert!(text.contains(line), "{text}");
    }
}
