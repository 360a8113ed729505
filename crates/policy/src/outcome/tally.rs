//! The sum of what happened to calls within a window.

use super::Sketch;

/// How many classes of failures there are.
pub const CLASSES: usize = 6;

/// What a call failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// No connection: refused, unreachable, or the peer's proxy could not reach the application.
    Connect,
    /// A connection, but no TLS: a certificate that is not believed, or somebody else's.
    Tls,
    /// It took longer than it may.
    Timeout,
    /// It broke off before the answer's end.
    Reset,
    /// An answer with a status of 500 or more.
    Status5xx,
    /// An answer with a status of gRPC that Envoy's load reports count as an error: UNKNOWN, DEADLINE_EXCEEDED,
    /// UNIMPLEMENTED, INTERNAL, UNAVAILABLE or DATA_LOSS (`envoy.config.endpoint.v3.UpstreamEndpointStats`,
    /// `total_error_requests`).
    Grpc,
}

impl Class {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Class; CLASSES] =
        [Class::Connect, Class::Tls, Class::Timeout, Class::Reset, Class::Status5xx, Class::Grpc];

    /// The word for reports and people.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Connect => "connect",
            Class::Tls => "tls",
            Class::Timeout => "timeout",
            Class::Reset => "reset",
            Class::Status5xx => "5xx",
            Class::Grpc => "grpc",
        }
    }

    /// What an answer's statuses say; `None` for a success.
    pub fn of_answer(status: u16, grpc_status: Option<u16>) -> Option<Class> {
        match grpc_status {
            Some(2 | 4 | 12 | 13 | 14 | 15) => Some(Class::Grpc),
            _ if status >= 500 => Some(Class::Status5xx),
            _ => None,
        }
    }
}

/// What happened to the calls of one endpoint within a window. A TCP connection is a call that takes as long as it lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that began.
    pub issued: u64,
    /// Calls that ended, well or not. One that its caller gave up is not among them.
    pub calls: u64,
    /// Those of them that failed, by class, in the order of [`Class::ALL`].
    pub failures: [u64; CLASSES],
    /// Bytes of the calls' bodies.
    pub sent: u64,
    /// Bytes of the answers' bodies.
    pub received: u64,
    /// The most calls that were under way at the end of a window.
    pub in_flight: u64,
    /// How long all of them took together, microseconds.
    pub micros: u64,
    /// How long they took.
    pub latency: Sketch,
}

impl Tally {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.issued == 0 && self.calls == 0 && self.in_flight == 0
    }

    /// How many calls failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many ended well.
    pub fn succeeded(&self) -> u64 {
        self.calls.saturating_sub(self.failed())
    }

    /// The share of calls that ended well, 0 to 1; `None` without calls.
    pub fn success_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.succeeded() as f64 / self.calls as f64)
    }

    /// Counts a call that ended.
    pub fn record(&mut self, failure: Option<Class>, micros: u64) {
        self.calls += 1;
        if let Some(class) = failure {
            self.failures[class as usize] += 1;
        }
        self.micros = self.micros.saturating_add(micros);
        self.latency.record(micros);
    }

    /// Adds what happened at another time, or to another.
    pub fn merge(&mut self, other: &Tally) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.issued, other.issued);
        add(&mut self.calls, other.calls);
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            add(sum, more);
        }
        add(&mut self.sent, other.sent);
        add(&mut self.received, other.received);
        add(&mut self.micros, other.micros);
        self.in_flight = self.in_flight.max(other.in_flight);
        self.latency.merge(&other.latency);
    }
}
