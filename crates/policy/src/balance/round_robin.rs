//! Weighted round robin whose whole cycle is laid out when the endpoints change, so that a pick is
//! one addition by the caller and one look-up here.

/// The longest cycle that is laid out; weights that need more are scaled down to it.
const LONGEST_CYCLE: u64 = 4096;

/// One cycle of smooth weighted round robin over the endpoints `0..n`.
///
/// Within a cycle every endpoint comes exactly `weight` times (after division by the weights'
/// greatest common divisor), spread as evenly as the weights allow (nginx's smooth weighted round
/// robin). With equal weights it is plain round robin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    order: Box<[u32]>,
}

impl Schedule {
    /// Lays out the cycle for endpoints of these weights. An endpoint of weight 0 is never picked,
    /// unless all are 0: then all count alike.
    pub fn new(weights: &[u32]) -> Schedule {
        let weights = reduce(weights);
        let cycle: u64 = weights.iter().sum();
        let mut credit = vec![0i64; weights.len()];
        let mut order = Vec::with_capacity(cycle as usize);
        for _ in 0..cycle {
            let mut best = 0;
            for (index, weight) in weights.iter().enumerate() {
                credit[index] += *weight as i64;
                if credit[index] > credit[best] {
                    best = index;
                }
            }
            credit[best] -= cycle as i64;
            order.push(best as u32);
        }
        Schedule { order: order.into() }
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

/// Divides by the greatest common divisor and bounds the sum.
fn reduce(weights: &[u32]) -> Vec<u64> {
    let mut weights: Vec<u64> = weights.iter().map(|w| u64::from(*w)).collect();
    if weights.iter().all(|w| *w == 0) {
        weights.fill(1);
    }
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    weights.iter_mut().for_each(|w| *w /= divisor);
    let sum: u64 = weights.iter().sum();
    let bound = LONGEST_CYCLE.max(weights.len() as u64);
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
