//! Texts that are no YAML, or too much of it.

use meltemi_api::parse::{Options, TEXT_LIMIT, parse, value};
use serde_json::json;

use super::source;

#[test]
fn texts_that_are_no_yaml_are_told() {
    for (text, line, part) in [
        ("a: [1, 2", 1, "is not YAML"),
        ("a: &a [1]\nb8", 2, "is not YAML"),
        ("a: 1\na: 2\n", 2, "`a` stands here twice, first in line 1"),
        ("a: 1\nb: {c: 1, c: 2}\n", 2, "`c` stands here twice"),
        ("a: &x [*x]", 1, "an alias of something that holds it"),
        ("a: *nowhere", 1, "is not YAML"),
        ("a: .nan", 1, "a number that JSON does not have"),
        ("? {a: b}\n: c", 1, "cannot be a key"),
        ("a: !!binary aGk=", 1, "base64"),
        ("a: b: c", 1, "is not YAML"),
        ("{\"a\": 1,}}", 1, "is not YAML"),
        ("<<: 7", 1, "`<<` takes an object"),
    ] {
        let findings = parse(&[source("x", text)], &Options::default()).unwrap_err();
        let told = findings[0].to_string();
        assert!(told.contains(part), "{text}: {told}");
        assert_eq!((findings.len(), findings[0].line), (1, line), "{text}: {told}");
    }
    assert_eq!(value("a: 1\n---\nb: 2\n").unwrap_err()[0].line, 3);
    assert_eq!(value("# nothing"), Ok(json!(null)));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
    }
    let deep = "- ".repeat(10_000);
    let chained = (1..50).fold("a0: &a0 [[[[[x]]]]]\n".to_owned(), |text, level| {
        text + &format!("a{level}: &a{level} [[[[[*a{}]]]]]\n", level - 1)
    });
    let brackets = "[".repeat(100_000);
    let nested = (0..90).map(|level| format!("&b{level} [")).collect::<String>()
        + &"x,".repeat(100_000)
        + &"]".repeat(90);
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a,".repeat(1000));
    let big = "#".repeat(TEXT_LIMIT + 1);
    for (text, part) in [
        (laughs, "too many values"),
        (deep, "nested deeper"),
        (chained, "nested deeper"),
        (brackets, "recursion limit"),
        (nested, "too many values"),
        (long, "too many values"),
        (big, "at most"),
    ] {
        let findings = parse(&[source("x", &text)], &Options::default()).unwrap_err();
        assert!(findings[0].message.contains(part), "{}", findings[0]);
    }
}
