//! Which endpoints do worse than the others, by what an interval counted.

use super::Reason;
use super::host::{Count, Window};
use super::settings::Settings;

/// The endpoints to eject, by success rate and by share of failures. Of the endpoints' own answers and, if they are split off, of
/// the way to them apart.
pub(super) fn outliers(windows: &[Window], settings: &Settings) -> Vec<(usize, Reason)> {
    let mut found = Vec::new();
    let kinds: [fn(&Window) -> Count; 2] = [|window| window.external, |window| window.local];
    let count = if settings.split_external_local_origin_errors { 2 } else { 1 };
    for kind in &kinds[..count] {
        let rates = |volume: u32| rates(windows, *kind, volume);
        if let Some(rule) = settings.success_rate {
            let rates = rates(rule.request_volume);
            if rates.len() >= rule.minimum_hosts as usize {
                let least = least_rate(&rates, f64::from(rule.stdev_factor) / 1000.0);
                let low = rates.iter().filter(|(_, rate)| *rate < least);
                found.extend(low.map(|(index, _)| (*index, Reason::SuccessRate)));
            }
        }
        if let Some(rule) = settings.failure_percentage {
            let rates = rates(rule.request_volume);
            if rates.len() >= rule.minimum_hosts as usize {
                let most = f64::from(rule.threshold);
                let high = rates.iter().filter(|(_, rate)| 100.0 - rate >= most);
                found.extend(high.map(|(index, _)| (*index, Reason::FailurePercentage)));
            }
        }
    }
    found
}

/// The success rates, per cent, of the endpoints that are in and have requests enough.
fn rates(windows: &[Window], kind: fn(&Window) -> Count, volume: u32) -> Vec<(usize, f64)> {
    let rate = |count: Count| f64::from(count.succeeded) * 100.0 / f64::from(count.total);
    let windows = windows.iter().enumerate().filter(|(_, window)| !window.is_ejected);
    let counts = windows.map(|(index, window)| (index, kind(window)));
    let counts = counts.filter(|(_, count)| count.total > 0 && count.total >= volume);
    counts.map(|(index, count)| (index, rate(count))).collect()
}

/// The average less so many standard deviations.
fn least_rate(rates: &[(usize, f64)], deviations: f64) -> f64 {
    let count = rates.len() as f64;
    let average = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let square = rates.iter().map(|(_, rate)| (rate - average).powi(2)).sum::<f64>() / count;
    average - deviations * square.sqrt()
}
