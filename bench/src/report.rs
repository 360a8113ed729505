//! Prints what was measured: a table for people, or JSON for programs.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::error::BenchError;
use crate::figures::{Figure, Figures, Samples};
use crate::options::{Options, Output, Section};
use crate::role::backend::BODY;
use crate::scenario::{Scenario, Unit};
use crate::statistics::Spread;

/// Prints it.
pub fn print(options: &Options, measured: &[(Section, Figures)]) -> Result<(), BenchError> {
    let text = match options.output {
        Output::Table => tables(options, measured),
        Output::Json => format!("{:#}\n", value(options, measured)),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::system("print the figures"))
}

fn tables(options: &Options, measured: &[(Section, Figures)]) -> String {
    let tables = measured.iter().map(|(section, figures)| table(options, section, figures));
    tables.collect::<Vec<_>>().join("\n\n")
}

fn table(options: &Options, section: &Section, figures: &Figures) -> String {
    let (present, unit) = (figures.present(), options.scenario.unit());
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(present.iter().map(|figure| figure.head(unit).0));
    for samples in &figures.samples {
        let mut row = vec![samples.kind.name().to_owned()];
        let cell =
            |figure: &Figure| samples.spread(*figure).map(|it| spread(it, figure.head(unit).1));
        row.extend(present.iter().map(|figure| cell(figure).unwrap_or_else(|| "-".to_owned())));
        rows.push(row);
    }
    let mut text = format!("{}\n\n{}", heading(options, section), align(&rows));
    let ratios = ratio_rows(figures, &present, unit);
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

/// What was measured, and how.
pub fn heading(options: &Options, section: &Section) -> String {
    let rate = options.rate().map(|it| format!(", latency at {it} a second")).unwrap_or_default();
    let changes = match options.scenario {
        Scenario::Churn => format!(", {} changes a second", options.changes),
        _ => String::new(),
    };
    let body = match options.scenario.has_body() && options.body != BODY {
        true => format!(", {} bytes an answer", options.body),
        false => String::new(),
    };
    let rounds = match options.scenario.is_memory() {
        true => "one round".to_owned(),
        false => format!("{} rounds of {:.1} s", options.rounds, options.seconds.as_secs_f64()),
    };
    format!(
        "{}: {}{body}, {} endpoints, {} workers a proxy, {rounds}{rate}{changes}; median [least, greatest]",
        name(options),
        subject(section),
        options.endpoints,
        options.workers(),
    )
}

/// What tells a section from the others.
pub fn subject(section: &Section) -> String {
    let (count, word) = match section.services {
        Some(services) => (services, "service"),
        None => (section.connections, "connection"),
    };
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The scenario's word.
pub fn name(options: &Options) -> String {
    use clap::ValueEnum as _;
    let value = options.scenario.to_possible_value();
    value.map(|it| it.get_name().to_owned()).unwrap_or_default()
}

/// A median, and how far the samples lie apart if they do.
pub fn spread(Spread { median, min, max }: Spread, digits: usize) -> String {
    if min == max {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} [{min:.digits$}, {max:.digits$}]")
}

fn ratio_rows(figures: &Figures, present: &[Figure], unit: Unit) -> Vec<Vec<String>> {
    let priced: Vec<_> = present.iter().map(|figure| (figure, figures.ratios(*figure))).collect();
    let priced: Vec<_> = priced.into_iter().filter(|(_, ratios)| !ratios.is_empty()).collect();
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(priced.iter().map(|(figure, _)| figure.head(unit).0));
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

fn value(options: &Options, measured: &[(Section, Figures)]) -> Value {
    let sections: Vec<Value> =
        measured.iter().map(|(section, figures)| section_value(section, figures)).collect();
    json!({
        "scenario": name(options),
        "unit": options.scenario.unit().long,
        "body": options.scenario.has_body().then_some(options.body),
        "endpoints": options.endpoints,
        "workers": options.workers(),
        "rounds": options.rounds,
        "seconds": options.seconds.as_secs_f64(),
        "rate": options.rate(),
        "sections": sections,
    })
}

fn section_value(section: &Section, figures: &Figures) -> Value {
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
        "connections": section.services.is_none().then_some(section.connections),
        "services": section.services,
        "contestants": contestants.collect::<Vec<_>>(),
        "meltemi_over": ratios.collect::<Map<String, Value>>(),
        "notes": figures.notes,
    })
}

#[cfg(test)]
mod tests;
