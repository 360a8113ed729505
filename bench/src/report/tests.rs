//! Tables and JSON of figures that were not measured.

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

fn measured(options: &Options) -> Vec<(Section, Figures)> {
    options.sections().into_iter().map(|section| (section, figures())).collect()
}

#[test]
fn a_table_has_medians_ratios_errors_and_notes() {
    let options = Options::parse_from(["bench", "connect"]);
    let text = tables(&options, &measured(&options));
    for part in [
        "connect: 32 connections, 3 endpoints",
        "CPU us/req\n",
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
fn each_section_has_a_table_that_says_what_it_is_of() {
    let options =
        Options::parse_from(["bench", "proxy-http1", "--connections=1,16", "--body=100k"]);
    let text = tables(&options, &measured(&options));
    assert!(text.starts_with("proxy-http1: 1 connection, 102400 bytes an answer"), "{text}");
    assert!(text.contains("\n\n\nproxy-http1: 16 connections, 102400 bytes"), "{text}");
    let options = Options::parse_from(["bench", "services"]);
    let text = tables(&options, &measured(&options));
    assert!(text.contains("services: 1000 services, 3 endpoints, "), "{text}");
    let options = Options::parse_from(["bench", "tcp-short"]);
    assert!(tables(&options, &measured(&options)).contains("CPU us/conn\n"));
}

#[test]
fn json_has_the_same() {
    let options = Options::parse_from(["bench", "pair-http1", "--connections=5,6"]);
    let value = value(&options, &measured(&options));
    assert_eq!((&value["scenario"], &value["rate"]), (&json!("pair-http1"), &json!(3400)));
    assert_eq!(value["sections"][1]["connections"], 6);
    let section = &value["sections"][0];
    assert_eq!((&section["connections"], &section["services"]), (&json!(5), &Value::Null));
    assert_eq!(section["contestants"][1]["figures"]["cpu_us_per_request"]["max"], 12.0);
    assert_eq!(section["meltemi_over"]["cpu_us_per_request"]["nginx"]["median"], 0.25);
    assert_eq!(section["contestants"][1]["errors"], 2);
}
