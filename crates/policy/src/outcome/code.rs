//! A tally as bytes: figures that are not zero, then the sketch's buckets that are not empty, all as varints.

use super::sketch::{BUCKETS, COARSEST};
use super::{CLASSES, Sketch, Tally};

/// Every tally fits into so many bytes.
pub const MIN_CODE: usize = 128;
/// Figures before the sketch.
const FIGURES: usize = 6 + CLASSES;
/// Counts beyond this are told as this: five bytes.
const MOST: u64 = u32::MAX as u64;
/// Sums beyond this are told as this: seven bytes, 562 TB or 17 years of microseconds.
const MOST_SUM: u64 = (1 << 49) - 1;

impl Tally {
    /// The tally in at most `limit` bytes, but [`MIN_CODE`] where less is asked for. What does not fit makes the sketch
    /// coarser, nothing else.
    pub fn encode(&self, limit: usize) -> Vec<u8> {
        let limit = limit.max(MIN_CODE);
        let figures = self.figures();
        let mut code = Vec::with_capacity(MIN_CODE);
        let present = figures.iter().enumerate().filter(|(_, figure)| **figure > 0);
        let mask = present.fold(0_u16, |mask, (at, _)| mask | 1 << at);
        code.extend_from_slice(&mask.to_le_bytes());
        figures.iter().filter(|figure| **figure > 0).for_each(|it| put(&mut code, *it));
        let begin = code.len();
        for coarse in self.latency.coarse()..=COARSEST {
            code.truncate(begin);
            put_sketch(&mut code, &self.latency, coarse);
            if code.len() <= limit {
                break;
            }
        }
        code
    }

    /// Reads what [`Tally::encode`] has written; `None` if it was not.
    pub fn decode(code: &[u8]) -> Option<Tally> {
        let (mask, mut rest) = code.split_first_chunk::<2>()?;
        let mask = u16::from_le_bytes(*mask);
        if mask >> FIGURES != 0 {
            return None;
        }
        let mut figures = [0; FIGURES];
        for (at, figure) in figures.iter_mut().enumerate() {
            if mask & 1 << at != 0 {
                *figure = take(&mut rest)?;
            }
        }
        let [issued, calls, sent, received, in_flight, micros, ..] = figures;
        let mut failures = [0; CLASSES];
        failures.copy_from_slice(&figures[FIGURES - CLASSES..]);
        let latency = take_sketch(rest)?;
        Some(Tally { issued, calls, failures, sent, received, in_flight, micros, latency })
    }

    fn figures(&self) -> [u64; FIGURES] {
        let mut figures = [0; FIGURES];
        let head = [
            self.issued.min(MOST),
            self.calls.min(MOST),
            self.sent.min(MOST_SUM),
            self.received.min(MOST_SUM),
            self.in_flight.min(MOST),
            self.micros.min(MOST_SUM),
        ];
        figures[..FIGURES - CLASSES].copy_from_slice(&head);
        for (figure, count) in figures[FIGURES - CLASSES..].iter_mut().zip(self.failures) {
            *figure = count.min(MOST);
        }
        figures
    }
}

/// How coarse, then of each bucket how far it is behind the one before, and its count.
fn put_sketch(code: &mut Vec<u8>, sketch: &Sketch, coarse: u32) {
    let mut buckets = sketch.buckets().peekable();
    if buckets.peek().is_none() {
        return;
    }
    // At most COARSEST.
    code.push(coarse as u8);
    let mut next = 0;
    while let Some((bucket, mut count)) = buckets.next() {
        let bucket = bucket >> coarse;
        while let Some((_, more)) = buckets.next_if(|(other, _)| other >> coarse == bucket) {
            count = count.saturating_add(more);
        }
        put(code, (bucket - next) as u64);
        put(code, count.min(MOST));
        next = bucket + 1;
    }
}

fn take_sketch(mut rest: &[u8]) -> Option<Sketch> {
    let Some((coarse, buckets)) = rest.split_first() else { return Some(Sketch::default()) };
    let coarse = u32::from(*coarse);
    if coarse > COARSEST {
        return None;
    }
    rest = buckets;
    let (mut counts, mut next) = (Vec::new(), 0_u64);
    while !rest.is_empty() {
        let bucket = next.checked_add(take(&mut rest)?)?;
        let count = take(&mut rest)?;
        if bucket > (BUCKETS as u64 - 1) >> coarse || count == 0 {
            return None;
        }
        counts.push((bucket as usize, count));
        next = bucket + 1;
    }
    Some(Sketch::of_coarse(coarse, counts))
}

/// Seven bits a byte, the lowest first; the high bit says that more come (protobuf's varint).
fn put(code: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        code.push(value as u8 | 0x80);
        value >>= 7;
    }
    code.push(value as u8);
}

fn take(code: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..56).step_by(7) {
        let (byte, rest) = code.split_first()?;
        *code = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
