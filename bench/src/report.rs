//! Prints what was measured: a table for people, or JSON for programs.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::error::BenchError;
use crate::figures::{Figure, Figures, Samples};
use crate::options::{Options, Output};
use crate::statistics::Spread;

/// Prints it.
pub fn print(options: &Options, figures: &Figures) -> Result<(), BenchError> {
    let text = match options.output {
        Output::Table => table(options, figures),
        Output::Json => format!("{:#}\n", value(options, figures)),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::system("print the figures"))
}

fn table(options: &Options, figures: &Figures) -> String {
    let present = figures.present();
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(present.iter().map(|figure| figure.head().0.to_owned()));
    for samples in &figures.samples {
        let mut row = vec![samples.kind.name().to_owned()];
        let cell = |figure: &Figure| samples.spread(*figure).map(|it| spread(it, figure.head().1));
        row.extend(present.iter().map(|figure| cell(figure).unwrap_or_else(|| "-".to_owned())));
        rows.push(row);
    }
    let mut text = format!("{}\n\n{}", heading(options), align(&rows));
    let ratios = ratio_rows(figures, &present);
    if ratios.len() > 1 {
        text += &format!("\nmeltemi divided by (the median of the rounds):\n\n{}", align(&ratios));
    }
    for samples in figures.samples.iter().filter(|it| it.errors > 0) {
        text += &format!("\n{}", errors(samples));
    }
    for note in &figures.notes {
        text += &format!("\nnote: {note}\n");
    }
    text
}

fn heading(options: &Options) -> String {
    let rate = options.rate().map(|it| format!(", latency at {it} requests/s")).unwrap_or_default();
    format!(
        "{}: {} connections, {} endpoints, {} workers a proxy, {} rounds of {:.1} s{rate}; median [least, greatest]",
        name(options),
        options.connections(),
        options.endpoints,
        options.workers(),
        options.rounds,
        options.seconds.as_secs_f64(),
    )
}

fn name(options: &Options) -> String {
    use clap::ValueEnum as _;
    let value = options.scenario.to_possible_value();
    value.map(|it| it.get_name().to_owned()).unwrap_or_default()
}

fn spread(Spread { median, min, max }: Spread, digits: usize) -> String {
    if min == max {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} [{min:.digits$}, {max:.digits$}]")
}

fn ratio_rows(figures: &Figures, present: &[Figure]) -> Vec<Vec<String>> {
    let priced: Vec<_> = present.iter().map(|figure| (figure, figures.ratios(*figure))).collect();
    let priced: Vec<_> = priced.into_iter().filter(|(_, ratios)| !ratios.is_empty()).collect();
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(priced.iter().map(|(figure, _)| figure.head().0.to_owned()));
    for samples in &figures.samples {
        let cell = |ratios: &Vec<(_, Spread)>| {
            let found = ratios.iter().find(|(kind, _)| *kind == samples.kind);
            found.map_or_else(|| "-".to_owned(), |(_, ratio)| spread(*ratio, 2))
        };
        let cells: Vec<String> = priced.iter().map(|(_, ratios)| cell(ratios)).collect();
        if cells.iter().any(|cell| cell != "-") {
            let mut row = vec![samples.kind.name().to_owned()];
            row.extend(cells);
            rows.push(row);
        }
    }
    rows
}

fn errors(samples: &Samples) -> String {
    let reason = samples.error.as_deref().unwrap_or("unknown");
    format!("{}: {} requests failed, the first: {reason}\n", samples.kind.name(), samples.errors)
}

/// Columns of one width each: the first to the left, the others to the right.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|it| it.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match at {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text.push('\n');
    }
    text
}

fn value(options: &Options, figures: &Figures) -> Value {
    let present = figures.present();
    let key = |figure: &Figure| match json!(figure) {
        Value::String(key) => key,
        _ => String::new(),
    };
    let contestants = figures.samples.iter().map(|samples| {
        let spreads = present.iter().filter_map(|it| Some((key(it), json!(samples.spread(*it)?))));
        json!({
            "name": samples.kind,
            "figures": spreads.collect::<Map<String, Value>>(),
            "errors": samples.errors,
            "error": samples.error,
        })
    });
    let ratios = present.iter().filter_map(|figure| {
        let ratios = figures.ratios(*figure);
        let ratios: Map<String, Value> =
            ratios.iter().map(|(kind, ratio)| (kind.name().to_owned(), json!(ratio))).collect();
        (!ratios.is_empty()).then(|| (key(figure), Value::Object(ratios)))
    });
    json!({
        "scenario": name(options),
        "connections": options.connections(),
        "endpoints": options.endpoints,
        "workers": options.workers(),
        "rounds": options.rounds,
        "seconds": options.seconds.as_secs_f64(),
        "rate": options.rate(),
        "contestants": contestants.collect::<Vec<_>>(),
        "meltemi_over": ratios.collect::<Map<String, Value>>(),
        "notes": figures.notes,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::contestant::Kind;

    fn figures() -> Figures {
        let mut ours = Samples::new(Kind::Meltemi);
        let mut theirs = Samples::new(Kind::Nginx);
        for round in 1..=3 {
            ours.push(Figure::CpuUsPerRequest, f64::from(round));
            theirs.push(Figure::CpuUsPerRequest, f64::from(4 * round));
        }
        theirs.errors = 2;
        theirs.error = Some("HTTP/1.1 502 Bad Gateway".into());
        Figures { samples: vec![ours, theirs], notes: vec!["envoy is skipped: gone".into()] }
    }

    #[test]
    fn a_table_has_medians_ratios_errors_and_notes() {
        let options = Options::parse_from(["bench", "connect"]);
        let text = table(&options, &figures());
        for part in [
            "connect: 32 connections, 3 endpoints",
            "meltemi   2.0 [1.0, 3.0]\n",
            "nginx    8.0 [4.0, 12.0]\n",
            "nginx        0.25\n",
            "nginx: 2 requests failed, the first: HTTP/1.1 502 Bad Gateway\n",
            "note: envoy is skipped: gone\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn json_has_the_same() {
        let options = Options::parse_from(["bench", "pair-http1", "--connections=5"]);
        let value = value(&options, &figures());
        assert_eq!(value["scenario"], "pair-http1");
        assert_eq!((&value["connections"], &value["rate"]), (&json!(5), &json!(3400)));
        assert_eq!(value["contestants"][1]["figures"]["cpu_us_per_request"]["max"], 12.0);
        assert_eq!(value["meltemi_over"]["cpu_us_per_request"]["nginx"]["median"], 0.25);
        assert_eq!(value["contestants"][1]["errors"], 2);
    }
}
