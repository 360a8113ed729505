//! Until when a request has to be answered: by the route's timeout, and by what the caller itself says.

use std::time::{Duration, Instant};

use crate::http::head::RequestHead;
use crate::http::known::Known;
use crate::outbound::edit::put;

/// Says until when an answer is waited for, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// Whether it is the caller's own (`grpc-timeout`), not the route's.
    pub(crate) is_callers: bool,
}

impl Deadline {
    /// The earlier of the route's timeout, which begins now, and the caller's, which began with the request.
    pub(crate) fn of(
        head: &RequestHead,
        timeout: Option<Duration>,
        started: Instant,
    ) -> Option<Deadline> {
        // What went before, an injected delay say, is not the endpoint's.
        let route = timeout.and_then(|it| Instant::now().checked_add(it));
        let callers = head.fields.find(Known::GrpcTimeout).and_then(read);
        let callers = callers.and_then(|it| started.checked_add(it));
        match (route, callers) {
            (Some(at), None) => Some(Deadline { at, is_callers: false }),
            (None, Some(at)) => Some(Deadline { at, is_callers: true }),
            (Some(route), Some(callers)) => {
                Some(Deadline { at: route.min(callers), is_callers: callers < route })
            }
            (None, None) => None,
        }
    }

    /// What is left of it.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }
}

/// Tells the endpoint how long its answer is waited for: `x-envoy-expected-rq-timeout-ms`, and in gRPC's own words.
pub(crate) fn tell(head: &mut RequestHead, limit: Duration) {
    let ms = limit.as_millis().max(1).to_string();
    put(&mut head.fields, "x-envoy-expected-rq-timeout-ms", ms.as_bytes());
    if head.fields.find(Known::GrpcTimeout).is_some() {
        head.fields.set(Known::GrpcTimeout, b"grpc-timeout", write(limit).as_bytes());
    }
}

/// Reads a gRPC timeout: at most eight digits and a unit (gRPC over HTTP/2, `Timeout`).
fn read(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// In the finest unit that eight digits allow.
fn write(limit: Duration) -> String {
    let units = [
        ('n', limit.as_nanos()),
        ('u', limit.as_micros()),
        ('m', limit.as_millis()),
        ('S', u128::from(limit.as_secs())),
        ('M', u128::from(limit.as_secs() / 60)),
    ];
    let fits = units.into_iter().find(|(_, number)| *number < 100_000_000);
    let (unit, number) = fits.unwrap_or(('H', u128::from(limit.as_secs() / 3600)));
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_and_written() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("7n", Some(Duration::from_nanos(7))),
            ("100000000m", None),
            ("m", None),
            ("", None),
            ("5", None),
            ("-5m", None),
            ("5x", None),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
        for limit in [1, 99_999_999, 100_000_000, 5_000_000_000, u64::MAX / 2] {
            let limit = Duration::from_nanos(limit);
            let again = read(write(limit).as_bytes()).unwrap();
            assert!(again <= limit && again * 10 >= limit * 9, "{limit:?} {again:?}");
        }
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let now = Instant::now();
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let of = |grpc: &[u8], timeout| {
            let mut head = RequestHead::default();
            if !grpc.is_empty() {
                head.fields.push(b"grpc-timeout", grpc);
            }
            Deadline::of(&head, timeout, now)
        };
        assert_eq!(of(b"", None), None);
        for (grpc, timeout, is_callers, least) in [
            (&b""[..], Some(minute), false, minute),
            (b"1H", Some(minute), false, minute),
            (b"1M", Some(hour), true, minute),
            (b"1M", None, true, minute),
        ] {
            let deadline = of(grpc, timeout).unwrap();
            assert_eq!(deadline.is_callers, is_callers);
            assert!(deadline.at >= now + least && deadline.at < now + hour);
        }
    }
}
