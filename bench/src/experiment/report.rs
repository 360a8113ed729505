//! Prints what came of an experiment.

use std::io::Write as _;

use serde::Serialize;
use serde_json::json;

use super::policy::Policy;
use crate::error::BenchError;
use crate::options::Output;
use crate::report::spread;
use crate::role::callers::Seen;
use crate::statistics::Spread;

/// One policy at one load.
#[derive(Debug, Clone, Serialize)]
pub struct Pass {
    /// In parts of the capacity.
    pub load: f64,
    /// Which.
    pub policy: Policy,
    /// What callers saw.
    #[serde(flatten)]
    pub seen: Seen,
}

/// The share of requests that were answered in time.
pub fn share(seen: &Seen) -> f64 {
    seen.within as f64 / seen.requests.max(1) as f64
}

/// Prints the shares of requests answered in time.
pub fn shares(output: Output, all: &[(Policy, Seen)]) -> Result<(), BenchError> {
    let text = match output {
        Output::Json => {
            let values = all.iter().map(
                |(policy, seen)| json!({ "policy": policy, "share": share(seen), "seen": seen }),
            );
            format!("{:#}\n", values.collect::<serde_json::Value>())
        }
        Output::Table => {
            let mut text = format!(
                "{:<16}{:>12}{:>12}{:>12}{:>10}\n",
                "", "within 1 s", "p50 ms", "p99 ms", "errors"
            );
            for (policy, seen) in all {
                text += &format!(
                    "{:<16}{:>10.2} %{:>12.0}{:>12.0}{:>10}\n",
                    policy.name(),
                    100.0 * share(seen),
                    seen.p50,
                    seen.p99,
                    seen.errors
                );
            }
            text
        }
    };
    print(&text)
}

/// Prints latencies by load and policy, as a table in Markdown: medians of the passes, with the least and the greatest.
pub fn latencies(
    output: Output,
    loads: &[f64],
    policies: &[Policy],
    passes: &[Pass],
) -> Result<(), BenchError> {
    if output == Output::Json {
        return print(&format!("{:#}\n", json!(passes)));
    }
    let mut text = "\
Milliseconds, failures included; medians [least, greatest] of the passes; errors are of all passes together.

| load | policy | passes | p50 | p99 | p99.9 | errors |
| --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for load in loads {
        for policy in policies {
            text += &row(*load, *policy, passes);
        }
    }
    print(&text)
}

fn row(load: f64, policy: Policy, passes: &[Pass]) -> String {
    let of =
        || passes.iter().filter(|it| it.load == load && it.policy == policy).map(|it| &it.seen);
    let cell = |of: Option<Spread>| of.map_or_else(|| "-".to_owned(), |it| spread(it, 0));
    let (requests, errors) =
        of().fold((0, 0), |sum, seen| (sum.0 + seen.requests, sum.1 + seen.errors));
    format!(
        "| {load} | {} | {} | {} | {} | {} | {:.2}% |\n",
        policy.name(),
        of().count(),
        cell(Spread::of(of().map(|it| it.p50))),
        cell(Spread::of(of().map(|it| it.p99))),
        cell(Spread::of(of().map(|it| it.p999))),
        100.0 * errors as f64 / requests.max(1) as f64
    )
}

fn print(text: &str) -> Result<(), BenchError> {
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::system("print the figures"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_all_passes_of_its_policy_at_its_load() {
        let pass = |load, policy, p99| Pass {
            load,
            policy,
            seen: Seen { requests: 100, errors: 1, p50: 1.0, p99, p999: 9.0, ..Seen::default() },
        };
        let passes = [
            pass(1.03, Policy::Learned, 10.0),
            pass(1.03, Policy::Learned, 30.0),
            pass(1.03, Policy::RoundRobin, 99.0),
            pass(0.75, Policy::Learned, 99.0),
        ];
        let row = row(1.03, Policy::Learned, &passes);
        assert_eq!(row, "| 1.03 | learned | 2 | 1 | 20 [10, 30] | 9 | 1.00% |\n");
    }

    #[test]
    fn nothing_asked_is_no_share_answered() {
        assert_eq!(share(&Seen::default()), 0.0);
        assert_eq!(share(&Seen { requests: 4, within: 3, ..Seen::default() }), 0.75);
    }
}
