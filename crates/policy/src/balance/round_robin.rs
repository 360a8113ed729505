//! Weighted round robin whose whole cycle is laid out when the endpoints change, so that a pick is
//! one addition by the caller and one look-up here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The longest cycle that is laid out for a few endpoints; weights that need more are scaled down to it.
const LONGEST_CYCLE: u64 = 4096;
/// The longest cycle for many endpoints, in turns for each: finer differences of weight than that are lost among
/// thousands of endpoints anyway.
const TURNS_EACH: u64 = 4;

/// One cycle of weighted round robin over the endpoints `0..n`.
///
/// Within a cycle every endpoint comes exactly `weight` times (after division by the weights' greatest common divisor),
/// spread as evenly as the weights allow: at every turn each has had its share, give or take less than one turn. With
/// equal weights it is plain round robin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    order: Box<[u32]>,
}

impl Schedule {
    /// Lays out the cycle for endpoints of these weights. An endpoint of weight 0 is never picked,
    /// unless all are 0: then all count alike.
    pub fn new(weights: &[u32]) -> Schedule {
        let weights = reduce(weights);
        if weights.iter().all(|weight| *weight == 1) {
            return Schedule { order: (0..weights.len() as u32).collect() };
        }
        Schedule { order: interleave(&weights) }
    }

    /// The endpoint of the given turn; turns go on for ever. `None` without endpoints.
    pub fn pick(&self, turn: u64) -> Option<usize> {
        let length = self.order.len() as u64;
        if length == 0 {
            return None;
        }
        Some(self.order[(turn % length) as usize] as usize)
    }

    /// Turns in one cycle.
    pub fn cycle(&self) -> usize {
        self.order.len()
    }
}

/// Lays out the cycle by deadlines (worst-case fair queueing): an endpoint that has had `k` turns may have the next one
/// when `k` are due to it, and should before `k + 1` are. Of those that may, the one with the nearest deadline is next.
/// There always is one, because as many turns are due to all together as have passed.
fn interleave(weights: &[u64]) -> Box<[u32]> {
    let cycle: u64 = weights.iter().sum();
    // When an endpoint of this weight has `turns` for its due.
    let due = |turns: u64, weight: u64| (turns * cycle).div_ceil(weight);
    let mut had = vec![0u64; weights.len()];
    let mut waiting: BinaryHeap<Reverse<(u64, u32)>> = (0..)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0)
        .map(|(index, _)| Reverse((0, index)))
        .collect();
    let mut startable: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::with_capacity(waiting.len());
    let mut order = Vec::with_capacity(cycle as usize);
    for turn in 0..cycle {
        while let Some(Reverse((start, index))) = waiting.peek().copied() {
            if start > turn {
                break;
            }
            waiting.pop();
            let i = index as usize;
            startable.push(Reverse((due(had[i] + 1, weights[i]), index)));
        }
        let Some(Reverse((_, index))) = startable.pop() else { break };
        let i = index as usize;
        order.push(index);
        had[i] += 1;
        waiting.push(Reverse((due(had[i], weights[i]), index)));
    }
    order.into()
}

/// Divides by the greatest common divisor and bounds the sum.
fn reduce(weights: &[u32]) -> Vec<u64> {
    let mut weights: Vec<u64> = weights.iter().map(|w| u64::from(*w)).collect();
    if weights.iter().all(|w| *w == 0) {
        weights.fill(1);
    }
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    weights.iter_mut().for_each(|w| *w /= divisor);
    let sum: u64 = weights.iter().sum();
    let bound = LONGEST_CYCLE.max(TURNS_EACH * weights.len() as u64);
    if sum > bound {
        // An endpoint with a weight keeps at least one turn.
        for weight in weights.iter_mut().filter(|w| **w > 0) {
            *weight = (*weight * bound / sum).max(1);
        }
    }
    weights
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
