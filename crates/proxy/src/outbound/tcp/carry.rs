//! Carries the bytes of a connection both ways, for as long as it may live.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::ConnectionLimits;
use crate::http::body::{BodyError, Broken, Sink, Source, Watch, pump};
use crate::http::h1::{Framing, Reader, Writer};
use crate::http::head::Fields;
use crate::io::Io;
use crate::relay::End;

/// A connection to the far side.
pub(crate) struct Far {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    carried: u64,
}

impl Far {
    /// A connection that begins with a preface, before the caller's bytes.
    pub(crate) fn new(io: Io, preface: &[u8]) -> Far {
        let (mut reader, mut writer) = (Reader::new(io.clone()), Writer::new(io));
        if !preface.is_empty() {
            writer.out().extend_from_slice(preface);
        }
        reader.leave_http();
        writer.begin(Framing::UntilClose);
        Far { reader, writer, carried: 0 }
    }

    /// How many of the caller's bytes were sent.
    pub(crate) fn carried(&self) -> u64 {
        self.carried
    }
}

/// How long a connection may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Without bytes in either direction.
    idle: Option<Duration>,
    /// At all.
    age: Option<Duration>,
}

impl From<&ConnectionLimits> for Limits {
    fn from(limits: &ConnectionLimits) -> Self {
        Limits { idle: limits.tcp_idle, age: limits.duration }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By one of its ends.
    By(End),
    /// No byte came for too long.
    Idle,
    /// It has lived as long as it may.
    TooOld,
}

/// Carries bytes between the two. What was to be said first goes out at once: the far side may be the one to speak first.
pub(crate) async fn between(reader: &mut Reader, writer: &mut Writer, far: &mut Far) -> End {
    both_ways(reader, writer, far, None).await
}

/// The same, within limits. `since` is when the connection was made.
pub(crate) async fn within(
    limits: Limits,
    since: Instant,
    reader: &mut Reader,
    writer: &mut Writer,
    far: &mut Far,
) -> Ended {
    let last = Cell::new(Instant::now());
    tokio::select! {
        biased;
        end = both_ways(reader, writer, far, limits.idle.map(|_| &last)) => Ended::By(end),
        () = until(limits.age.and_then(|age| since.checked_add(age))) => Ended::TooOld,
        () = silence(&last, limits.idle) => Ended::Idle,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Ends when nothing was carried for so long.
async fn silence(last: &Cell<Instant>, limit: Option<Duration>) {
    loop {
        let due = limit.and_then(|limit| last.get().checked_add(limit));
        if due.is_some_and(|due| due <= Instant::now()) {
            return;
        }
        until(due).await;
    }
}

async fn both_ways(
    reader: &mut Reader,
    writer: &mut Writer,
    far: &mut Far,
    last: Option<&Cell<Instant>>,
) -> End {
    reader.leave_http();
    writer.begin(Framing::UntilClose);
    if far.writer.flush().await.is_err() {
        return End::EndpointBroke;
    }
    let (mut up, mut back) = (Flow { bytes: &mut far.carried, last }, Flow { bytes: &mut 0, last });
    let there = one_way(reader, &mut far.writer, &mut up);
    let back = one_way(&mut far.reader, writer, &mut back);
    match tokio::try_join!(there, back) {
        Ok(_) => End::Complete,
        Err(_) => End::CallerGone,
    }
}

/// What passes in one direction.
struct Flow<'c> {
    bytes: &'c mut u64,
    /// When something passed in either.
    last: Option<&'c Cell<Instant>>,
}

impl Watch for Flow<'_> {
    fn data(&mut self, bytes: &[u8]) {
        *self.bytes += bytes.len() as u64;
        if let Some(last) = self.last {
            last.set(Instant::now());
        }
    }

    fn end(&mut self, _: &Fields) {}
}

/// Carries one direction. A side that takes no more may still have something to say: only a side that cannot be read any
/// longer ends both directions.
async fn one_way(
    reader: &mut Reader,
    writer: &mut Writer,
    flow: &mut Flow<'_>,
) -> Result<(), BodyError> {
    match pump(&mut Source::H1(reader), &mut Sink::H1(writer), flow).await {
        Err(Broken::Source(error)) => Err(error),
        Err(Broken::Sink) => Ok(()),
        Ok(()) => {
            // A body that says its own end leaves the connection to its answer.
            if !writer.is_over() {
                // A side that is gone already needs no end.
                let _ = writer.close().await;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_byte() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let last = Cell::new(start);
        let bytes = async {
            sleep_until(start + second / 2).await;
            last.set(Instant::now());
        };
        tokio::join!(silence(&last, Some(second)), bytes);
        assert_eq!(start.elapsed(), second * 3 / 2);
        // Longer than any clock goes.
        let endless = silence(&last, Some(Duration::MAX));
        assert!(tokio::time::timeout(second * 100_000, endless).await.is_err());
    }
}
