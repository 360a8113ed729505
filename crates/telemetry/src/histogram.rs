//! Envoy's default histogram buckets, and the atomic cells that count into them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the buckets, inclusive: Envoy's defaults, which Istio keeps for durations (in
/// milliseconds) and for sizes (in bytes). One more bucket, `+Inf`, follows the last.
pub const BOUNDS: [f64; 19] = [
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0,
    60000.0, 300000.0, 600000.0, 1800000.0, 3600000.0,
];

/// Buckets with `+Inf`.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

/// The bounds times 1000: a duration in microseconds, or a size times 1000, is compared with
/// integers.
const SCALED: [u64; BOUNDS.len()] = {
    let mut scaled = [0; BOUNDS.len()];
    let mut i = 0;
    while i < BOUNDS.len() {
        scaled[i] = (BOUNDS[i] * 1000.0) as u64;
        i += 1;
    }
    scaled
};

/// One shard's part of a histogram: 168 bytes.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Cells {
    /// Counts a value given in thousandths of the histogram's unit, and adds `amount` to the sum.
    pub(crate) fn record(&self, thousandths: u64, amount: u64) {
        let bucket = SCALED.partition_point(|bound| *bound < thousandths);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(amount, Relaxed);
    }
}

/// What the shards of a histogram come to, at a scrape.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Values in each bucket (not cumulative).
    pub(crate) buckets: [u64; BUCKETS],
    /// Sum of the amounts, in the unit that was recorded.
    pub(crate) sum: u64,
}

impl Totals {
    /// Sums the shards.
    pub(crate) fn of<'a>(shards: impl Iterator<Item = &'a Cells>) -> Totals {
        let mut totals = Totals::default();
        for cells in shards {
            for (total, cell) in totals.buckets.iter_mut().zip(&cells.buckets) {
                *total += cell.load(Relaxed);
            }
            totals.sum = totals.sum.wrapping_add(cells.sum.load(Relaxed));
        }
        totals
    }

    /// How many values there were.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        for (thousandths, bucket) in
            [(0, 0), (500, 0), (501, 1), (1000, 1), (1001, 2), (5000, 2), (3_600_000_000, 18)]
        {
            let cells = Cells::default();
            cells.record(thousandths, 7);
            let totals = Totals::of([&cells].into_iter());
            assert_eq!(totals.buckets[bucket], 1, "{thousandths}");
            assert_eq!((totals.count(), totals.sum), (1, 7));
        }
        let cells = Cells::default();
        cells.record(u64::MAX, 1);
        assert_eq!(Totals::of([&cells].into_iter()).buckets[19], 1);
    }
}
