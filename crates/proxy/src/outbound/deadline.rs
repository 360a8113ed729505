//! Until when a request has to be answered: by the route's timeout, and by what the caller itself says.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::http::head::RequestHead;
use crate::http::known::Known;
use crate::outbound::edit::put;
use crate::upstream::replay::Whole;

/// Says until when an answer is waited for, and why.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    /// The route's timeout: from when all of the request has come until all of the answer has (Envoy's
    /// `RouteAction.timeout`).
    route: Option<(Duration, Whole)>,
    /// The caller's own (`grpc-timeout`).
    callers: Option<Instant>,
}

impl Deadline {
    /// The route's timeout with the time at which it begins, and the caller's, which began with the request.
    pub(crate) fn of(
        head: &RequestHead,
        route: Option<(Duration, Whole)>,
        started: Instant,
    ) -> Option<Deadline> {
        let callers = head.fields.find(Known::GrpcTimeout).and_then(read);
        let callers = callers.and_then(|it| started.checked_add(it));
        (route.is_some() || callers.is_some()).then_some(Deadline { route, callers })
    }

    fn route_at(&self) -> Option<Instant> {
        let (timeout, whole) = self.route.as_ref()?;
        whole.get()?.checked_add(*timeout)
    }

    /// The earlier of the two, as far as they are known: while the request is still coming, the route's has not begun.
    pub(crate) fn at(&self) -> Option<Instant> {
        match (self.route_at(), self.callers) {
            (Some(route), Some(callers)) => Some(route.min(callers)),
            (route, callers) => route.or(callers),
        }
    }

    /// Whether the caller's own is the earlier one.
    pub(crate) fn is_callers(&self) -> bool {
        let is_earlier = |at: Instant| self.route_at().is_none_or(|route| at < route);
        self.callers.is_some_and(is_earlier)
    }

    /// What is left of it; as long as the request is still coming, all of the route's.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let until = |at: Instant| at.saturating_duration_since(now);
        let route = self.route.as_ref().map(|(whole, _)| self.route_at().map_or(*whole, until));
        match (route, self.callers.map(until)) {
            (Some(route), Some(callers)) => Some(route.min(callers)),
            (route, callers) => route.or(callers),
        }
    }

    /// Waits for something as long as there is time; `None` if that is over.
    pub(crate) async fn hold<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        let (mut waiting, mut clock) = (pin!(waiting), pin!(None));
        poll_fn(|cx| {
            if let Poll::Ready(done) = waiting.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            // The request may have come to its end just now, by which the deadline is known, or an earlier one.
            let Some(at) = self.at().map(tokio::time::Instant::from) else { return Poll::Pending };
            match clock.as_mut().as_pin_mut() {
                None => clock.set(Some(tokio::time::sleep_until(at))),
                Some(clock) if clock.deadline() != at => clock.reset(at),
                Some(_) => {}
            }
            match clock.as_mut().as_pin_mut() {
                Some(clock) => clock.poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
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
pub(crate) fn read(text: &[u8]) -> Option<Duration> {
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
pub(crate) fn write(limit: Duration) -> String {
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
        let of = |grpc: &[u8], route| {
            let mut head = RequestHead::default();
            if !grpc.is_empty() {
                head.fields.push(b"grpc-timeout", grpc);
            }
            Deadline::of(&head, route, now)
        };
        assert!(of(b"", None).is_none());
        for (grpc, timeout, is_callers) in [
            (&b""[..], Some(minute), false),
            (b"1H", Some(minute), false),
            (b"1M", Some(hour), true),
            (b"1M", None, true),
        ] {
            let whole = Whole::default();
            whole.set(Some(now));
            let deadline = of(grpc, timeout.map(|it| (it, whole))).unwrap();
            assert_eq!(deadline.is_callers(), is_callers);
            assert_eq!((deadline.at(), deadline.left(now)), (Some(now + minute), Some(minute)));
        }
    }

    #[test]
    fn the_routes_time_begins_when_the_request_is_whole() {
        let (started, whole) = (Instant::now(), Whole::default());
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut head = RequestHead::default();
        head.fields.push(b"grpc-timeout", b"1H");
        let deadline = Deadline::of(&head, Some((second, whole.clone())), started).unwrap();
        // All of the route's is left, and the caller's is the only one that runs.
        let later = started + minute;
        assert_eq!((deadline.left(later), deadline.is_callers()), (Some(second), true));
        assert_eq!(deadline.at(), Some(started + 60 * minute));
        whole.set(Some(later));
        assert_eq!((deadline.at(), deadline.is_callers()), (Some(later + second), false));
        assert_eq!(deadline.left(later + second / 2), Some(second / 2));
        assert_eq!(deadline.left(later + minute), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_may_itself_begin_the_time() {
        let (second, whole) = (Duration::from_secs(1), Whole::default());
        let route = Some((second, whole.clone()));
        let deadline = Deadline::of(&RequestHead::default(), route, Instant::now()).unwrap();
        // Far longer than the timeout, before it begins.
        let coming = async {
            tokio::time::sleep(20 * second).await;
            whole.set(Some(tokio::time::Instant::now().into_std()));
            tokio::time::sleep(second / 2).await;
        };
        assert_eq!(deadline.hold(coming).await, Some(()));
        assert_eq!(deadline.hold(std::future::pending::<()>()).await, None);
    }
}
