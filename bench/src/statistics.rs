//! Medians with minimum and maximum.

use serde::Serialize;

/// The middle of some samples, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; the mean of the two in the middle if their number is even.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of samples in any order; nothing of none. Samples that are no numbers do not count.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = samples.into_iter().filter(|it| it.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        Some(Spread { median, min, max })
    }
}

/// The spread of the quotients round by round: what drifts between rounds hits both alike. A round in which either is
/// lost in the noise, and so not above zero, does not count.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> Option<Spread> {
    let rounds = ours.iter().zip(theirs).filter(|(ours, theirs)| **ours > 0.0 && **theirs > 0.0);
    Spread::of(rounds.map(|(ours, theirs)| ours / theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_in_order() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
        let of = |samples: &[f64]| {
            let Spread { median, min, max } = Spread::of(samples.iter().copied()).unwrap();
            (min, median, max)
        };
        assert_eq!(of(&[5.0]), (5.0, 5.0, 5.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), (1.0, 2.0, 9.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_eq!(of(&[f64::INFINITY, 1.0]), (1.0, 1.0, 1.0));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let spread = ratio(&[1.0, 2.0, 30.0], &[2.0, 4.0, 30.0]).unwrap();
        assert_eq!(spread, Spread { median: 0.5, min: 0.5, max: 1.0 });
        assert_eq!(ratio(&[1.0], &[0.0]), None);
        assert_eq!(ratio(&[-1.0, 1.0], &[-1.0, -1.0]), None);
        assert_eq!(ratio(&[], &[1.0]), None);
    }
}
