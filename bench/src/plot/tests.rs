//! Pictures of figures that were not measured.

use clap::Parser as _;

use super::*;

/// Tells why a text is no XML, by the little of it that is written here: elements that are opened and closed in order,
/// attributes in quotes, no bare `<` or `&`.
fn well_formed(text: &str) -> Result<usize, String> {
    let (mut open, mut elements, mut rest) = (Vec::new(), 0, text);
    while let Some((before, tag)) = rest.split_once('<') {
        check_references(before)?;
        let (tag, after) = tag.split_once('>').ok_or("a tag does not end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => continue,
                opened => return Err(format!("{name} closes {opened:?}")),
            }
        }
        elements += 1;
        let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if attributes.matches('"').count() % 2 != 0 {
            return Err(format!("a quote is missing in {tag}"));
        }
        check_references(attributes)?;
        if !is_closed {
            open.push(name);
        }
    }
    match open.is_empty() && rest.trim().is_empty() {
        true => Ok(elements),
        false => Err(format!("{open:?} are open before {rest:?}")),
    }
}

fn check_references(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
        if !known.iter().any(|it| text[at..].starts_with(it)) {
            return Err(format!("a bare & in {text:?}"));
        }
    }
    Ok(())
}

fn figures() -> Figures {
    let mut figures = Figures::default();
    for (kind, factor) in [(Kind::Direct, 0.0), (Kind::Meltemi, 1.0), (Kind::Envoy, 4.0)] {
        let mut samples = Samples::new(kind);
        for round in [10.0, 11.0, 14.0] {
            if kind != Kind::Direct {
                samples.push(Figure::CpuUsPerRequest, round * factor);
            }
            samples.push(Figure::P99Ms, round / 10.0);
            samples.push(Figure::P99AddedMs, factor - 2.0);
            samples.push(Figure::FailedQuiet, 0.0);
        }
        figures.samples.push(samples);
    }
    figures.notes.push("nginx is skipped: <gone> & \"away\"".to_owned());
    figures
}

#[test]
fn a_picture_is_well_formed_and_has_every_figure_of_every_section() {
    let options = Options::parse_from(["bench", "pair-http1", "--connections=1,512"]);
    let measured: Vec<_> = options.sections().into_iter().map(|it| (it, figures())).collect();
    let svg = draw(&options, &measured);
    assert!(well_formed(&svg).unwrap() > 40, "{svg}");
    for part in [
        "viewBox=\"0 0 1080 ",
        ">meltemi-bench pair-http1<",
        ">1 connection<",
        ">512 connections<",
        ">CPU time per request at saturation, µs<",
        ">44.0 [40.0, 56.0]<",
        ">latency p99, ms<",
        "&lt;gone&gt; &amp; &quot;away&quot;",
    ] {
        assert!(svg.contains(part), "{part:?} in {svg}");
    }
    assert!(!svg.contains("failed"), "zeros are not drawn");
    assert!(!svg.contains("NaN") && !svg.contains("width=\"-"), "{svg}");
}

#[test]
fn bars_are_as_long_as_the_medians() {
    let panel = Panel::new(
        &figures(),
        Figure::CpuUsPerRequest,
        Options::parse_from(["bench", "connect"]).scenario.unit(),
    );
    let mut drawing = Drawing::new(WIDTH);
    panel.draw(&mut drawing, 0.0, 0.0, NAMES + VALUES + 560.0);
    let svg = drawing.finish(100.0);
    // 560 units for 56 microseconds.
    for length in ["width=\"110.0\"", "width=\"440.0\""] {
        assert!(svg.contains(length), "{length} in {svg}");
    }
    assert_eq!(panel.bars.len(), 2);
}

#[test]
fn what_is_no_xml_is_told() {
    for text in ["<a><b></a></b>", "<a>&b</a>", "<a b=\"c></a>", "<a>", "<a></a> & more <"] {
        assert!(well_formed(text).is_err(), "{text}");
    }
    assert_eq!(well_formed("<a b=\"c\"><d/>&amp;</a>\n"), Ok(2));
}
