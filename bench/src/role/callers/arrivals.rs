//! When requests come.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A schedule without end.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Seconds between two, in the mean.
    gap: f64,
    random: Option<StdRng>,
    at: f64,
}

impl Arrivals {
    /// So many a second: evenly, or by Poisson's process.
    pub(super) fn new(rate: f64, is_even: bool, seed: u64) -> Arrivals {
        let random = (!is_even).then(|| StdRng::seed_from_u64(seed));
        Arrivals { gap: 1.0 / rate, random, at: 0.0 }
    }

    /// When the next one comes, from the beginning.
    pub(super) fn next(&mut self) -> Duration {
        self.at += match &mut self.random {
            // Never the logarithm of zero: what is drawn is below one.
            Some(random) => -self.gap * (1.0 - random.random::<f64>()).ln(),
            None => self.gap,
        };
        Duration::try_from_secs_f64(self.at).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(is_even: bool) -> Vec<f64> {
        let mut arrivals = Arrivals::new(100.0, is_even, 7);
        let times: Vec<f64> = (0..20_000).map(|_| arrivals.next().as_secs_f64()).collect();
        times.windows(2).map(|two| two[1] - two[0]).collect()
    }

    #[test]
    fn an_even_schedule_has_one_gap() {
        assert!(gaps(true).iter().all(|gap| (gap - 0.01).abs() < 1e-6));
    }

    #[test]
    fn gaps_of_poissons_process_spread_as_much_as_they_are_long() {
        let gaps = gaps(false);
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Three standard deviations of the mean are 2 % here.
        assert!((mean / 0.01 - 1.0).abs() < 0.03, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }
}
