//! The stored bounds: what a request cost when they were written, how much more it may cost, and what is said when it
//! does.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::error::GuardError;

/// How much more instructions than stored are let pass, and how much fewer go without a word. Runs of one build differ by
/// far less; this is for what a change of a compiler or a library moves.
pub const INSTRUCTIONS_MARGIN: f64 = 0.04;
/// How many more allocations are let pass: less than one in every second request. In HTTP/1.1 their number is the same in
/// each run; in gRPC it moves by a quarter, as frames come together or apart.
pub const ALLOCATIONS_MARGIN: f64 = 0.4;

/// What a request costs in one proxy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Instructions in user mode.
    pub instructions: f64,
    /// Calls of functions that allocate.
    pub allocations: f64,
}

impl Price {
    /// The most that a request may cost whose price was stored.
    pub fn bound(self) -> Price {
        Price {
            instructions: self.instructions * (1.0 + INSTRUCTIONS_MARGIN),
            allocations: self.allocations + ALLOCATIONS_MARGIN,
        }
    }

    /// Whether it is so much better than what is stored that the bound guards little.
    pub fn is_far_below(self, stored: Price) -> bool {
        self.instructions < stored.instructions * (1.0 - INSTRUCTIONS_MARGIN)
            || self.allocations < stored.allocations - ALLOCATIONS_MARGIN
    }

    /// As it is stored: no digits that the next run would change.
    fn rounded(self) -> Price {
        let allocations = (self.allocations * 100.0).round() / 100.0;
        Price { instructions: self.instructions.round(), allocations }
    }
}

/// The file of bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bounds(BTreeMap<Case, Price>);

impl Bounds {
    /// Reads it.
    pub fn read(file: &Path) -> Result<Bounds, GuardError> {
        let failed = |reason: String| GuardError::Bounds {
            file: file.to_owned(),
            what: "read",
            reason: format!("{reason}; `--update` writes the file"),
        };
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// Writes it.
    pub fn write(&self, file: &Path) -> Result<(), GuardError> {
        let failed =
            |reason: String| GuardError::Bounds { file: file.to_owned(), what: "written", reason };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        std::fs::write(file, text + "\n").map_err(|error| failed(error.to_string()))
    }

    /// What is stored of a case.
    pub fn find(&self, case: Case) -> Option<Price> {
        self.0.get(&case).copied()
    }

    /// Stores a price.
    pub fn put(&mut self, case: Case, price: Price) {
        self.0.insert(case, price.rounded());
    }

    /// Whether no price exceeds its bound.
    ///
    /// # Errors
    /// Every bound that is exceeded or missing.
    pub fn check(&self, measured: &[(Case, Price)]) -> Result<(), GuardError> {
        let excesses: Vec<String> =
            measured.iter().flat_map(|(case, price)| self.excesses(*case, *price)).collect();
        if excesses.is_empty() { Ok(()) } else { Err(GuardError::Exceeded(excesses)) }
    }

    fn excesses(&self, case: Case, price: Price) -> Vec<String> {
        let name = case.name();
        let Some(stored) = self.find(case) else {
            return vec![format!("{name}: no bound is stored")];
        };
        let (bound, mut excesses) = (stored.bound(), Vec::new());
        if price.instructions > bound.instructions {
            excesses.push(format!(
                "{name}: {:.0} instructions a request, {:+.1} % on the stored {:.0}; the bound is {:.0}",
                price.instructions,
                (price.instructions / stored.instructions - 1.0) * 100.0,
                stored.instructions,
                bound.instructions,
            ));
        }
        if price.allocations > bound.allocations {
            excesses.push(format!(
                "{name}: {:.2} allocations a request, {:+.2} on the stored {:.2}; the bound is {:.2}",
                price.allocations,
                price.allocations - stored.allocations,
                stored.allocations,
                bound.allocations,
            ));
        }
        excesses
    }
}

#[cfg(test)]
mod tests;
