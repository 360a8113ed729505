//! Reads a scrape's text back: sums, groups and quantiles for `demo`, `top` and tests.

use std::collections::BTreeMap;
use std::str::CharIndices;

use thiserror::Error;

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric, with `_bucket`, `_sum`, `_count` or `_total` as written.
    pub name: String,
    /// Its labels, in the order of the text.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; an absent one is empty, as Prometheus has it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// All lines of one or several scrapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape {
    samples: Vec<Sample>,
}

/// The text is neither Prometheus' format nor OpenMetrics.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the metrics is not `name{{label=\"value\"}} number`: {text}")]
pub struct ScrapeError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there, cut to 120 characters.
    pub text: String,
}

/// Reads a text in Prometheus' format 0.0.4 or OpenMetrics. Time stamps and exemplars are passed
/// over.
pub fn parse(text: &str) -> Result<Scrape, ScrapeError> {
    let mut samples = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let sample = parse_line(line)
            .ok_or_else(|| ScrapeError { line: at + 1, text: line.chars().take(120).collect() })?;
        samples.push(sample);
    }
    Ok(Scrape { samples })
}

impl Scrape {
    /// Adds another proxy's lines.
    pub fn extend(&mut self, other: Scrape) {
        self.samples.extend(other.samples);
    }

    /// The lines of a metric whose labels have the given values.
    pub fn select<'a>(
        &'a self,
        name: &'a str,
        filter: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |s| s.name == name && filter.iter().all(|(n, v)| s.label(n) == *v))
    }

    /// The sum over those lines; 0 if there are none.
    pub fn sum(&self, name: &str, filter: &[(&str, &str)]) -> f64 {
        self.select(name, filter).map(|s| s.value).sum()
    }

    /// The sums by the values of some labels.
    pub fn sum_by(
        &self,
        name: &str,
        filter: &[(&str, &str)],
        labels: &[&str],
    ) -> BTreeMap<Vec<String>, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.select(name, filter) {
            let key = labels.iter().map(|l| sample.label(l).to_owned()).collect();
            *sums.entry(key).or_insert(0.0) += sample.value;
        }
        sums
    }

    /// The histogram of this name (without `_bucket`), summed over all label sets that fit.
    pub fn histogram(&self, name: &str, filter: &[(&str, &str)]) -> Histogram {
        let mut histogram = Histogram::default();
        for sample in self.select(&format!("{name}_bucket"), filter) {
            let Ok(bound) = sample.label("le").parse::<f64>() else {
                continue;
            };
            match histogram.buckets.iter_mut().find(|(b, _)| *b == bound) {
                Some((_, count)) => *count += sample.value,
                None => histogram.buckets.push((bound, sample.value)),
            }
        }
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        histogram
    }
}

/// Cumulative buckets: how many values were at most each bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Bounds in rising order, the last of them infinity, with the cumulative count.
    pub buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// How many values there were.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// What was added since an earlier scrape. After a restart of a proxy (counts that fell) this
    /// is never below zero.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |bound| {
            earlier.buckets.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter().map(|(b, c)| (*b, (c - before(*b)).max(0.0))).collect();
        Histogram { buckets }
    }

    /// The value that a share `q` (0 to 1) of all values does not exceed, by linear interpolation
    /// within its bucket as Prometheus' `histogram_quantile`. None if there are no values; the
    /// highest finite bound if it lies beyond that.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count <= 0.0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count;
        let at = self.buckets.iter().position(|(_, below)| *below >= rank && *below > 0.0)?;
        let (upper, below_upper) = self.buckets[at];
        let (lower, below_lower) = if at == 0 { (0.0, 0.0) } else { self.buckets[at - 1] };
        if upper.is_infinite() {
            return Some(lower);
        }
        let inside = below_upper - below_lower;
        if inside <= 0.0 {
            return Some(upper);
        }
        Some(lower + (upper - lower) * ((rank - below_lower) / inside).clamp(0.0, 1.0))
    }
}

/// Reads `name{a="b",...} value [timestamp] [# exemplar]`.
fn parse_line(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let name_fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(name_fits) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => parse_labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample { name: name.to_owned(), labels, value })
}

type Labels = Vec<(String, String)>;

/// Reads `a="b",c="d"}` and gives what follows the brace.
fn parse_labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let quoted = rest.trim_start().strip_prefix('"')?;
        let (value, length) = unescape(quoted.char_indices())?;
        labels.push((name.trim().to_owned(), value));
        text = &quoted[length..];
    }
}

/// Reads up to the closing quote; gives the value and where what follows the quote begins.
fn unescape(mut chars: CharIndices<'_>) -> Option<(String, usize)> {
    let mut value = String::new();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, at + 1)),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, plain) => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests;
