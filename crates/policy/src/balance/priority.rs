//! How load is shared among priorities as endpoints fail, as Envoy does it.

/// An endpoint takes so much more than its share before the next priority has to help: 1.4 times (Envoy's overprovisioning
/// factor, per cent).
pub(crate) const OVERPROVISIONING: u64 = 140;

/// The endpoints of a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    pub(crate) usable: u64,
    pub(crate) total: u64,
}

impl Health {
    /// How much of the load it can take, per cent.
    pub(crate) fn availability(self) -> u64 {
        (self.usable * OVERPROVISIONING).checked_div(self.total).unwrap_or(0).min(100)
    }

    /// Whether fewer than so many per cent are usable.
    fn is_below(self, percent: u64) -> bool {
        self.usable * 100 < percent * self.total
    }
}

/// Who gets how much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Loads {
    /// The load of each priority; 100 together.
    pub(crate) percent: Box<[u64]>,
    /// Whether a priority has so few usable endpoints that all of its endpoints are called.
    pub(crate) panic: Box<[bool]>,
}

/// Shares the load: the first priority takes what it can, the next ones what is left. If all together cannot take it, each
/// takes in proportion to what it can, and those below the panic threshold call all of their endpoints, usable or not. If that
/// is so of all, load goes by the number of endpoints. A threshold of 0 never panics.
pub(crate) fn share(priorities: &[Health], panic_percent: u64) -> Loads {
    let available: Vec<u64> = priorities.iter().map(|health| health.availability()).collect();
    let together = available.iter().sum::<u64>().min(100);
    let is_panicking = |health: &Health| together < 100 && health.is_below(panic_percent.min(100));
    let panic: Box<[bool]> = priorities.iter().map(is_panicking).collect();
    let percent = if !panic.is_empty() && panic.iter().all(|panics| *panics) {
        let total = priorities.iter().map(|health| health.total).sum::<u64>().max(1);
        portions(priorities.iter().map(|health| health.total * 100 / total))
    } else {
        portions(available.iter().map(|available| available * 100 / together.max(1)))
    };
    Loads { percent, panic }
}

/// Cuts 100 into portions of at most the given sizes, in order; what rounding leaves goes to the first that has any.
fn portions(wanted: impl Iterator<Item = u64>) -> Box<[u64]> {
    let mut left = 100;
    let mut portions: Box<[u64]> = wanted
        .map(|wanted| {
            let portion = wanted.min(left);
            left -= portion;
            portion
        })
        .collect();
    let first = portions.iter().position(|portion| *portion > 0).unwrap_or(0);
    if let Some(first) = portions.get_mut(first) {
        *first += left;
    }
    portions
}

#[cfg(test)]
mod tests;
