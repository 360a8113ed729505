//! The little of SVG that bars need.

use std::fmt::Write as _;

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Heading,
    Title,
    Panel,
    Name,
    Note,
}

impl Style {
    fn class(self) -> &'static str {
        match self {
            Style::Heading => "heading",
            Style::Title => "title",
            Style::Panel => "panel",
            Style::Name => "name",
            Style::Note => "note",
        }
    }
}

/// Which end of a text is where it is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    End,
}

const STYLES: &str = "\
text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#263238}\
.heading{font-size:20px;font-weight:600}.title{font-size:16px;font-weight:600}\
.panel{font-size:13px;font-weight:600}.name{font-size:12px}.note{font-size:11px;fill:#607d8b}\
.whisker{stroke:#37474f;stroke-width:1.5}.axis{stroke:#b0bec5;stroke-width:1}";

/// A picture that grows downwards.
#[derive(Debug)]
pub(super) struct Drawing {
    width: f64,
    body: String,
}

impl Drawing {
    /// Nothing is drawn.
    pub(super) fn new(width: f64) -> Drawing {
        Drawing { width, body: String::new() }
    }

    /// A line of text on a base line.
    pub(super) fn text(&mut self, x: f64, y: f64, style: Style, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::End => "end",
        };
        let (class, text) = (style.class(), escape(text));
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// A bar to the right.
    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let width = width.max(0.0);
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{colour}\"/>"
        ));
    }

    /// A whisker from one place to another, with ends.
    pub(super) fn whisker(&mut self, from: f64, to: f64, y: f64) {
        let (top, bottom) = (y - 4.0, y + 4.0);
        self.put(format_args!(
            "<path class=\"whisker\" fill=\"none\" d=\"M{from:.1} {top:.1}V{bottom:.1}M{from:.1} {y:.1}H{to:.1}M{to:.1} {top:.1}V{bottom:.1}\"/>"
        ));
    }

    /// The line at zero.
    pub(super) fn axis(&mut self, x: f64, top: f64, bottom: f64) {
        self.put(format_args!("<path class=\"axis\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"));
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // A string takes whatever is written.
        let _ = writeln!(self.body, "{element}");
    }

    /// The file, as high as it has become.
    pub(super) fn finish(self, height: f64) -> String {
        let Drawing { width, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
             <style>{STYLES}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
