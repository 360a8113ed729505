//! Prints what the guard measured beside its bounds.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use super::bounds::{Bounds, Price};
use super::case::Case;
use super::drive::CONNECTIONS;
use super::{REQUESTS, WINDOWS};
use crate::error::BenchError;
use crate::options::Output;

/// Prints it.
pub fn print(
    output: Output,
    measured: &[(Case, Price)],
    bounds: &Bounds,
) -> Result<(), BenchError> {
    let text = match output {
        Output::Table => table(measured, bounds),
        Output::Json => format!("{:#}\n", value(measured, bounds)),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::system("print the prices"))
}

fn table(measured: &[(Case, Price)], bounds: &Bounds) -> String {
    let mut text = format!(
        "a request's price in one proxy: the least of {WINDOWS} windows of {REQUESTS} requests, one at a time over {CONNECTIONS} connections\n\n\
         {:<16}{:>14}{:>10}{:>13}{:>8}\n",
        "", "instructions", "bound", "allocations", "bound"
    );
    for (case, price) in measured {
        let bound = bounds.find(*case).map(Price::bound);
        let cell = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |it| format!("{it:.digits$}"))
        };
        text += &format!(
            "{:<16}{:>14.0}{:>10}{:>13.2}{:>8}\n",
            case.name(),
            price.instructions,
            cell(bound.map(|it| it.instructions), 0),
            price.allocations,
            cell(bound.map(|it| it.allocations), 2),
        );
    }
    for (case, price) in measured {
        if bounds.find(*case).is_some_and(|stored| price.is_far_below(stored)) {
            let name = case.name();
            text += &format!(
                "\nnote: {name} is far below its bound: lower that with `--update`, lest the gain is lost unseen\n"
            );
        }
    }
    text
}

fn value(measured: &[(Case, Price)], bounds: &Bounds) -> Value {
    let cases = measured.iter().map(|(case, price)| {
        let stored = bounds.find(*case);
        let is_far_below = stored.is_some_and(|stored| price.is_far_below(stored));
        let value = json!({
            "measured": price,
            "bound": stored.map(Price::bound),
            "far_below": is_far_below,
        });
        (case.name().to_owned(), value)
    });
    json!({
        "requests": REQUESTS,
        "windows": WINDOWS,
        "connections": CONNECTIONS,
        "cases": cases.collect::<Map<String, Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURED: [(Case, Price); 2] = [
        (Case::Http1Caller, Price { instructions: 40_000.4, allocations: 2.0 }),
        (Case::GrpcCaller, Price { instructions: 90_000.0, allocations: 60.125 }),
    ];

    fn bounds() -> Bounds {
        let mut bounds = Bounds::default();
        bounds.put(Case::Http1Caller, Price { instructions: 50_000.0, allocations: 2.0 });
        bounds
    }

    #[test]
    fn a_table_has_prices_bounds_and_a_word_on_what_got_better() {
        let text = table(&MEASURED, &bounds());
        for part in [
            "http1-caller             40000     52000         2.00    2.40\n",
            "grpc-caller              90000         -        60.12       -\n",
            "note: http1-caller is far below its bound",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("note: grpc-caller"));
    }

    #[test]
    fn json_has_the_same() {
        let value = value(&MEASURED, &bounds());
        let case = &value["cases"]["http1-caller"];
        assert_eq!(
            (&case["bound"]["instructions"], &case["far_below"]),
            (&json!(52_000.0), &json!(true))
        );
        assert_eq!(value["cases"]["grpc-caller"]["measured"]["allocations"], 60.125);
        assert_eq!(value["cases"]["grpc-caller"]["bound"], Value::Null);
    }
}
