//! What was measured: the samples of each contestant by figure.

mod figure;

use std::collections::BTreeMap;

pub use self::figure::Figure;
use crate::contestant::Kind;
use crate::statistics::{Spread, ratio};

/// A contestant's samples, one of each figure a round.
#[derive(Debug)]
pub struct Samples {
    /// Whose.
    pub kind: Kind,
    /// By figure.
    pub figures: BTreeMap<Figure, Vec<f64>>,
    /// Requests that failed in measured windows.
    pub errors: u64,
    /// The first one's reason.
    pub error: Option<String>,
}

impl Samples {
    /// None yet.
    pub fn new(kind: Kind) -> Self {
        Samples { kind, figures: BTreeMap::new(), errors: 0, error: None }
    }

    /// Adds one.
    pub fn push(&mut self, figure: Figure, value: f64) {
        self.figures.entry(figure).or_default().push(value);
    }

    /// The spread of a figure, if it was measured.
    pub fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.figures.get(&figure)?.iter().copied())
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Figures {
    /// By contestant.
    pub samples: Vec<Samples>,
    /// Who was skipped, and why.
    pub notes: Vec<String>,
}

impl Figures {
    /// Works out, once all rounds are over, what the contestants add to the latency without any proxy.
    pub fn add_latencies(&mut self) {
        for (whole, added) in
            [(Figure::P50Ms, Figure::P50AddedMs), (Figure::P99Ms, Figure::P99AddedMs)]
        {
            let direct = self.samples.iter().find(|it| it.kind == Kind::Direct);
            let Some(direct) = direct.and_then(|it| it.figures.get(&whole)).cloned() else {
                return;
            };
            for samples in self.samples.iter_mut().filter(|it| it.kind != Kind::Direct) {
                let own = samples.figures.get(&whole).cloned().unwrap_or_default();
                for (own, direct) in own.iter().zip(&direct) {
                    samples.push(added, own - direct);
                }
            }
        }
    }

    /// The figures that anybody has.
    pub fn present(&self) -> Vec<Figure> {
        let mut all: Vec<Figure> =
            self.samples.iter().flat_map(|it| it.figures.keys().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Meltemi's price over each other contestant's, round by round.
    pub fn ratios(&self, figure: Figure) -> Vec<(Kind, Spread)> {
        let of = |samples: &Samples| samples.figures.get(&figure).cloned();
        let ours = self.samples.iter().find(|it| it.kind == Kind::Meltemi).and_then(of);
        let Some(ours) = ours.filter(|_| figure.is_price()) else { return Vec::new() };
        let others = self.samples.iter().filter(|it| it.kind != Kind::Meltemi);
        others.filter_map(|other| Some((other.kind, ratio(&ours, &of(other)?)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(kind: Kind, cpu: &[f64]) -> Samples {
        let mut samples = Samples::new(kind);
        cpu.iter().for_each(|value| samples.push(Figure::CpuUsPerRequest, *value));
        samples.push(Figure::RequestsPerSecond, 1.0);
        samples
    }

    #[test]
    fn ratios_are_meltemis_price_over_the_others() {
        let figures = Figures {
            samples: vec![
                Samples::new(Kind::Direct),
                samples(Kind::Meltemi, &[10.0, 30.0]),
                samples(Kind::Envoy, &[100.0, 100.0]),
            ],
            notes: Vec::new(),
        };
        let ratios = figures.ratios(Figure::CpuUsPerRequest);
        assert_eq!(ratios.len(), 1);
        assert_eq!((ratios[0].0, ratios[0].1.median), (Kind::Envoy, 0.2));
        assert!(figures.ratios(Figure::RequestsPerSecond).is_empty());
        assert_eq!(figures.present(), [Figure::CpuUsPerRequest, Figure::RequestsPerSecond]);
    }

    #[test]
    fn what_is_added_to_latency_is_taken_round_by_round() {
        let of = |kind, latencies: [f64; 2]| {
            let mut samples = Samples::new(kind);
            latencies.iter().for_each(|latency| samples.push(Figure::P50Ms, *latency));
            samples
        };
        let mut figures = Figures {
            samples: vec![of(Kind::Direct, [0.25, 0.5]), of(Kind::Nginx, [0.75, 1.5])],
            notes: Vec::new(),
        };
        figures.add_latencies();
        assert_eq!(figures.samples[1].figures[&Figure::P50AddedMs], [0.5, 1.0]);
        assert!(!figures.samples[0].figures.contains_key(&Figure::P50AddedMs));
        assert!(!figures.samples[1].figures.contains_key(&Figure::P99AddedMs));
    }
}
