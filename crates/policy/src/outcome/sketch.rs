//! How long calls took: a histogram of fixed buckets, sixteen to a doubling.

/// Buckets of a doubling.
const STEPS: u64 = 16;
/// As a power of two.
const STEP_BITS: u32 = 4;
/// Latencies of this many bits of microseconds are told apart (71 minutes); longer ones count as the longest.
const BITS: u32 = 32;
/// How many buckets there are.
pub const BUCKETS: usize = OCTAVES << STEP_BITS;
/// How many groups of [`OCTAVE`] buckets there are, each for a doubling.
pub const OCTAVES: usize = (BITS - STEP_BITS + 1) as usize;
/// Buckets of a group.
pub const OCTAVE: usize = STEPS as usize;
/// So many times neighbouring buckets may be made one: eight are left then.
pub(super) const COARSEST: u32 = 6;

/// The bucket of a latency in microseconds. Below 16 µs each has its own; above, a bucket is a sixteenth of the power of two
/// below it wide, so that its middle is at most 1/32 (3.2%) off.
pub fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let micros = micros.min((1 << BITS) - 1);
    let octave = micros.ilog2() - STEP_BITS;
    let step = (micros >> octave) & (STEPS - 1);
    ((octave as usize + 1) << STEP_BITS) + step as usize
}

/// The lowest latency of a bucket; for the one after the last, where the last ends.
fn lowest(bucket: usize) -> u64 {
    let (octave, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    match octave {
        0 => step,
        octave => (STEPS + step) << (octave - 1),
    }
}

/// Latencies by bucket. Sketches add up; the sum is as coarse as the coarser of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The counts from the first bucket with something in it to the last one: latencies of one window lie near each other.
    counts: Vec<u64>,
    /// Which bucket the first count is of.
    first: usize,
    /// So many times neighbours were made one before the counts came here.
    coarse: u32,
}

impl Sketch {
    /// Counts latencies of one bucket.
    pub fn add(&mut self, bucket: usize, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket.min(BUCKETS - 1);
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            self.counts.splice(..0, std::iter::repeat_n(0, self.first - bucket));
            self.first = bucket;
        }
        let at = bucket - self.first;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(count);
    }

    /// Counts a latency.
    pub fn record(&mut self, micros: u64) {
        self.add(bucket(micros), 1);
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Sketch) {
        for (bucket, count) in other.buckets() {
            self.add(bucket, count);
        }
        self.coarse = self.coarse.max(other.coarse);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The latency, in microseconds, that this share (0 to 1) of the calls took at most; `None` where none was counted.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = (share.clamp(0.0, 1.0) * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        let found = self.buckets().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        });
        found.map(|(bucket, _)| self.middle(bucket))
    }

    /// By how much a latency that this tells may be off, as a share of the true one: 1/32 at best, twice as much each time that
    /// neighbouring buckets were made one; where the last time made one of four doublings, three times the true one. Latencies
    /// of few microseconds, which lie in the first bucket or two, may be off by half as many microseconds as buckets were made
    /// one, and those of more than 71 minutes are told as 71 minutes.
    pub fn error(&self) -> f64 {
        match self.coarse {
            // The bucket is four doublings wide, and its middle two above its lowest latency.
            coarse if coarse >= COARSEST => 3.0,
            coarse => f64::from(1 << coarse) / (2.0 * STEPS as f64),
        }
    }

    /// The buckets with something in them, in order.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = (self.first..).zip(self.counts.iter().copied());
        counts.filter(|(_, count)| *count > 0)
    }

    pub(super) fn coarse(&self) -> u32 {
        self.coarse
    }

    /// A sketch whose counts come from buckets of which 2^`coarse` neighbours are one; each stands at its middle.
    pub(super) fn of_coarse(coarse: u32, counts: impl IntoIterator<Item = (usize, u64)>) -> Sketch {
        let mut sketch = Sketch { coarse, ..Sketch::default() };
        for (bucket, count) in counts {
            let (first, width) = (bucket << coarse, 1_usize << coarse);
            sketch.add(first + width / 2, count);
        }
        sketch
    }

    fn middle(&self, bucket: usize) -> u64 {
        // Where several were made one, the bucket is the one in their middle.
        if self.coarse > 0 {
            return lowest(bucket);
        }
        let (low, high) = (lowest(bucket), lowest(bucket + 1));
        low + (high - low) / 2
    }
}
