//! Draws what was measured as one SVG: for each section a panel a figure, in each panel a bar a contestant, as long as the
//! median, with whiskers from the least to the greatest.

mod svg;

use std::path::Path;

use self::svg::{Anchor, Drawing, Style};
use crate::contestant::Kind;
use crate::error::BenchError;
use crate::figures::{Figure, Figures, Samples};
use crate::options::{Options, Section};
use crate::report::{heading, name, spread, subject};
use crate::scenario::Unit;
use crate::statistics::Spread;

/// Space around the whole, and between panels.
const MARGIN: f64 = 24.0;
/// Width of the whole.
const WIDTH: f64 = 1080.0;
/// Small panels beside each other.
const COLUMNS: usize = 3;
/// Height of a bar's row.
const ROW: f64 = 22.0;
/// Height of a panel's title.
const TITLE: f64 = 26.0;
/// Room for the contestants' names.
const NAMES: f64 = 62.0;
/// Room for the figures behind the bars.
const VALUES: f64 = 152.0;

/// Writes the file.
pub fn write(
    file: &Path,
    options: &Options,
    measured: &[(Section, Figures)],
) -> Result<(), BenchError> {
    std::fs::write(file, draw(options, measured))
        .map_err(BenchError::system(format!("write {}", file.display())))
}

fn draw(options: &Options, measured: &[(Section, Figures)]) -> String {
    let mut drawing = Drawing::new(WIDTH);
    let mut y = MARGIN + 18.0;
    let title = format!("meltemi-bench {}", name(options));
    drawing.text(MARGIN, y, Style::Heading, Anchor::Start, &title);
    for (section, figures) in measured {
        y = draw_section(&mut drawing, y, options, section, figures);
    }
    drawing.finish(y + MARGIN)
}

/// Draws a section below `y`; gives where it ends.
fn draw_section(
    drawing: &mut Drawing,
    y: f64,
    options: &Options,
    section: &Section,
    figures: &Figures,
) -> f64 {
    let mut y = y + 38.0;
    drawing.text(MARGIN, y, Style::Title, Anchor::Start, &subject(section));
    y += 18.0;
    drawing.text(MARGIN, y, Style::Note, Anchor::Start, &heading(options, section));
    y += 14.0;
    let mut present = figures.present();
    // What is zero for all, as failures should be, needs no picture.
    present.retain(|figure| greatest(figures, *figure) > 0.0);
    let unit = options.scenario.unit();
    if let Some(at) = present.iter().position(|it| *it == Figure::CpuUsPerRequest) {
        let panel = Panel::new(figures, present.remove(at), unit);
        panel.draw(drawing, MARGIN, y, WIDTH - 2.0 * MARGIN);
        y += panel.height() + MARGIN / 2.0;
    }
    let width = (WIDTH - (COLUMNS as f64 + 1.0) * MARGIN) / COLUMNS as f64;
    for row in present.chunks(COLUMNS) {
        let mut x = MARGIN;
        let mut height: f64 = 0.0;
        for figure in row {
            let panel = Panel::new(figures, *figure, unit);
            panel.draw(drawing, x, y, width);
            height = height.max(panel.height());
            x += width + MARGIN;
        }
        y += height + MARGIN / 2.0;
    }
    for note in &figures.notes {
        y += 14.0;
        drawing.text(MARGIN, y, Style::Note, Anchor::Start, note);
    }
    y
}

fn greatest(figures: &Figures, figure: Figure) -> f64 {
    let spreads = figures.samples.iter().filter_map(|it| it.spread(figure));
    spreads.map(|it| it.max).fold(0.0, f64::max)
}

/// One figure of all contestants that have it.
struct Panel {
    title: String,
    digits: usize,
    bars: Vec<(Kind, Spread)>,
    greatest: f64,
}

impl Panel {
    fn new(figures: &Figures, figure: Figure, unit: Unit) -> Panel {
        let bar = |samples: &Samples| Some((samples.kind, samples.spread(figure)?));
        Panel {
            title: figure.title(unit),
            digits: figure.head(unit).1,
            bars: figures.samples.iter().filter_map(bar).collect(),
            greatest: greatest(figures, figure),
        }
    }

    fn height(&self) -> f64 {
        TITLE + ROW * self.bars.len() as f64
    }

    fn draw(&self, drawing: &mut Drawing, x: f64, y: f64, width: f64) {
        drawing.text(x, y + 18.0, Style::Panel, Anchor::Start, &self.title);
        let (zero, room) = (x + NAMES, width - NAMES - VALUES);
        // A latency that is lost in the noise may be below zero: its bar has no length then.
        let at = |value: f64| zero + room * (value.max(0.0) / self.greatest);
        for (number, (kind, values)) in (0..).zip(&self.bars) {
            let top = y + TITLE + ROW * f64::from(number);
            let middle = top + ROW / 2.0;
            drawing.text(zero - 6.0, middle + 4.0, Style::Name, Anchor::End, kind.name());
            drawing.bar(zero, top + 3.0, at(values.median) - zero, ROW - 6.0, colour(*kind));
            if values.min < values.max {
                drawing.whisker(at(values.min), at(values.max), middle);
            }
            let text = spread(*values, self.digits);
            drawing.text(at(values.max) + 8.0, middle + 4.0, Style::Name, Anchor::Start, &text);
        }
        let bottom = y + self.height();
        drawing.axis(zero, y + TITLE, bottom);
    }
}

/// Meltemi stands out, the others are told apart by their names.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Meltemi => "#1b7f8c",
        Kind::Rules => "#0d4f57",
        Kind::Direct | Kind::Relay => "#cfd8dc",
        Kind::Envoy | Kind::Nginx | Kind::Haproxy => "#90a4ae",
    }
}

#[cfg(test)]
mod tests;
