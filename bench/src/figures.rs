//! What was measured: the samples of each contestant by figure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contestant::Kind;
use crate::statistics::{Spread, ratio};

/// A figure; in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU time of all proxies in the path for a request, at saturation.
    CpuUsPerRequest,
    /// The same at the fixed rate.
    CpuUsPerRequestAtRate,
    /// CPU time of all proxies in the path for a MiB.
    CpuUsPerMib,
    /// Requests that pass in a second.
    RequestsPerSecond,
    /// MiB that pass in a second.
    MibPerSecond,
    /// Latency at the fixed rate.
    P50Ms,
    /// Latency at the fixed rate.
    P99Ms,
    /// Latency at the fixed rate.
    P999Ms,
    /// The proxies' part of that: what they add over no proxy in the same round.
    P50AddedMs,
    /// The proxies' part of that.
    P99AddedMs,
    /// Resident memory of the path's proxies after load.
    MemoryMib,
    /// Resident memory of the caller's proxy that carries nothing yet.
    IdleMib,
    /// The same with idle connections.
    HeldMib,
    /// What an idle connection adds to that.
    KibPerConnection,
    /// System calls of all proxies in the path for a request.
    SyscallsPerRequest,
}

impl Figure {
    /// The head of its column, and digits behind the point.
    pub fn head(self) -> (&'static str, usize) {
        match self {
            Figure::CpuUsPerRequest => ("CPU us/req", 1),
            Figure::CpuUsPerRequestAtRate => ("CPU us/req at rate", 1),
            Figure::CpuUsPerMib => ("CPU us/MiB", 0),
            Figure::RequestsPerSecond => ("req/s", 0),
            Figure::MibPerSecond => ("MiB/s", 0),
            Figure::P50Ms => ("p50 ms", 2),
            Figure::P99Ms => ("p99 ms", 2),
            Figure::P999Ms => ("p99.9 ms", 2),
            Figure::P50AddedMs => ("p50 added ms", 2),
            Figure::P99AddedMs => ("p99 added ms", 2),
            Figure::MemoryMib => ("memory MiB", 1),
            Figure::IdleMib => ("idle MiB", 1),
            Figure::HeldMib => ("with connections MiB", 1),
            Figure::KibPerConnection => ("KiB/connection", 1),
            Figure::SyscallsPerRequest => ("syscalls/req", 1),
        }
    }

    /// Whether it is what a contestant itself costs, and less of it is better: so that Meltemi's can be divided by the
    /// others'.
    pub fn is_price(self) -> bool {
        use Figure::{MibPerSecond, P50Ms, P99Ms, P999Ms, RequestsPerSecond};
        !matches!(self, RequestsPerSecond | MibPerSecond | P50Ms | P99Ms | P999Ms)
    }
}

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
