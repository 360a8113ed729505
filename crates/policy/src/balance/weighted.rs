//! Any endpoint, by weight (Envoy's random).

use super::draws::Draws;

/// Shares of the endpoints `0..n` by weight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Weighted {
    count: u64,
    /// The sums of weights up to each endpoint; empty where all weigh alike.
    sums: Box<[u64]>,
    /// For each n-th part of the whole, the first endpoint in it: a search from there looks at two sums on average, however
    /// many there are.
    guide: Box<[u32]>,
}

impl Weighted {
    /// An endpoint of weight 0 is never picked, unless all are 0: then all count alike.
    pub(crate) fn new(weights: &[u32]) -> Weighted {
        let count = weights.len() as u64;
        if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            return Weighted { count, ..Default::default() };
        }
        let mut total = 0;
        let add = |weight: &u32| {
            total += u64::from(*weight);
            total
        };
        let sums: Box<[u64]> = weights.iter().map(add).collect();
        let mut first = 0;
        let begin = |part: u64| {
            let begin = (u128::from(part) * u128::from(total) / u128::from(count)) as u64;
            while sums[first] <= begin {
                first += 1;
            }
            first as u32
        };
        let guide = (0..count).map(begin).collect();
        Weighted { count, sums, guide }
    }

    /// Whether all weigh alike.
    pub(crate) fn is_even(&self) -> bool {
        self.sums.is_empty()
    }

    /// Any. `None` without endpoints.
    pub(crate) fn pick(&self, draws: &mut Draws) -> Option<usize> {
        let Some(total) = self.sums.last() else {
            return (self.count > 0).then(|| draws.below(self.count) as usize);
        };
        let random = u128::from(draws.next());
        let part = (random * u128::from(self.count)) >> 64;
        let place = ((random * u128::from(*total)) >> 64) as u64;
        self.find(part as usize, place)
    }

    /// Any but one, as if that were not there. `None` where no other is ever picked.
    pub(crate) fn pick_other(&self, one: usize, draws: &mut Draws) -> Option<usize> {
        let Some(total) = self.sums.last() else {
            let other = draws.below(self.count.checked_sub(1).filter(|rest| *rest > 0)?) as usize;
            return Some(if other < one { other } else { other + 1 });
        };
        let weight = self.weight(one);
        let rest = total.checked_sub(weight).filter(|rest| *rest > 0)?;
        let place = draws.below(rest);
        let begin = self.sums.get(one)? - weight;
        let place = if place < begin { place } else { place + weight };
        let part = u128::from(place) * u128::from(self.count) / u128::from(*total);
        self.find(part as usize, place)
    }

    /// The endpoint whose weight this place of the whole lies in; `part` is the n-th part that has it.
    fn find(&self, part: usize, place: u64) -> Option<usize> {
        let first = self.guide[part] as usize;
        let more = self.sums[first..].iter().position(|sum| place < *sum)?;
        Some(first + more)
    }

    /// The weight of one; 1 where all weigh alike.
    pub(crate) fn weight(&self, index: usize) -> u64 {
        match self.sums.get(index) {
            Some(sum) => sum - index.checked_sub(1).map_or(0, |before| self.sums[before]),
            None => 1,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_follow_weights() {
        for weights in
            [vec![1, 1, 1], vec![0, 5, 0, 0, 1, 0], vec![1, 1000, 1], vec![0, 0], vec![7]]
        {
            let weighted = Weighted::new(&weights);
            let mut draws = Draws::new(7);
            let mut counts = vec![0u32; weights.len()];
            (0..20_000).for_each(|_| counts[weighted.pick(&mut draws).unwrap()] += 1);
            let sum = f64::from(weights.iter().sum::<u32>());
            for (weight, count) in weights.iter().zip(counts) {
                let even = 1.0 / weights.len() as f64;
                let chance = if sum > 0.0 { f64::from(*weight) / sum } else { even };
                let expected = 20_000.0 * chance;
                let deviation = (expected * (1.0 - chance)).sqrt();
                let far = (f64::from(count) - expected).abs();
                assert!(far <= 3.0 * deviation, "{weights:?}: {count} for {expected}");
            }
        }
        assert_eq!(Weighted::new(&[]).pick(&mut Draws::new(1)), None);
    }

    #[test]
    fn another_is_picked_by_the_weights_of_those_that_are_left() {
        for (weights, one) in [
            (vec![1, 1, 1, 1], 2),
            (vec![0, 5, 0, 0, 1, 3], 1),
            (vec![1, 1000, 1], 1),
            (vec![2, 7], 0),
            (vec![2, 7, 1], 2),
        ] {
            let weighted = Weighted::new(&weights);
            let mut draws = Draws::new(7);
            let mut counts = vec![0u32; weights.len()];
            for _ in 0..20_000 {
                counts[weighted.pick_other(one, &mut draws).unwrap()] += 1;
            }
            assert_eq!(counts[one], 0, "{weights:?}");
            let rest = f64::from(weights.iter().sum::<u32>() - weights[one]);
            for (at, count) in counts.into_iter().enumerate().filter(|it| it.0 != one) {
                let chance = f64::from(weights[at]) / rest;
                let expected = 20_000.0 * chance;
                let deviation = (expected * (1.0 - chance)).sqrt();
                let far = (f64::from(count) - expected).abs();
                assert!(far <= 3.0 * deviation, "{weights:?}: {count} for {expected}");
            }
        }
        for none in [&[][..], &[7], &[0, 3]] {
            let one = none.len().saturating_sub(1);
            assert_eq!(Weighted::new(none).pick_other(one, &mut Draws::new(1)), None, "{none:?}");
        }
    }

    proptest! {
        /// The guide leads to where a look at all sums would.
        #[test]
        fn the_guide_leads_to_the_place(
            weights in prop::collection::vec(prop_oneof![Just(0u32), 1..9u32, Just(u32::MAX)], 2..40),
            seed: u64,
        ) {
            let weighted = Weighted::new(&weights);
            prop_assume!(!weighted.is_even());
            let total = *weighted.sums.last().unwrap();
            for at in 0..50 {
                let place = Draws::new(seed ^ at).below(total);
                let expected = weighted.sums.iter().position(|sum| place < *sum);
                prop_assert_eq!(weighted.pick(&mut Draws::new(seed ^ at)), expected);
            }
        }
    }
}
