//! Scrapes read from text: good, odd and broken ones.

use proptest::prelude::*;

use super::*;

const TEXT: &str = r#"
# HELP istio_requests_total Requests.
# TYPE istio_requests_total counter
istio_requests_total{reporter="source",destination_service="a",response_code="200"} 10
istio_requests_total{reporter="source",destination_service="a",response_code="503"} 2
istio_requests_total{reporter="source",destination_service="b",response_code="200"} 5 1700000000000
istio_requests_total{reporter="destination",destination_service="a",response_code="200"} 10
latency_bucket{le="1"} 50
latency_bucket{le="5"} 90
latency_bucket{le="10"} 99
latency_bucket{le="+Inf"} 100
bare 1.5e3
odd{ a = "x\"y\\z\n" , } +Inf
"#;

#[test]
fn sums_and_groups() {
    let scrape = parse(TEXT).unwrap();
    let source = [("reporter", "source")];
    assert_eq!(scrape.sum("istio_requests_total", &source), 17.0);
    assert_eq!(scrape.sum("istio_requests_total", &[("destination_service", "c")]), 0.0);
    assert_eq!(scrape.sum("bare", &[]), 1500.0);
    let by = scrape.sum_by("istio_requests_total", &source, &["destination_service"]);
    let expected = [(vec!["a".to_owned()], 12.0), (vec!["b".to_owned()], 5.0)];
    assert_eq!(by.into_iter().collect::<Vec<_>>(), expected);
    let odd = scrape.select("odd", &[]).next().unwrap();
    assert_eq!((odd.label("a"), odd.value), ("x\"y\\z\n", f64::INFINITY));
    assert_eq!(odd.label("absent"), "");
}

#[test]
fn quantiles_are_interpolated() {
    let latency = parse(TEXT).unwrap().histogram("latency", &[]);
    assert_eq!(latency.count(), 100.0);
    for (q, expected) in
        [(0.25, 0.5), (0.5, 1.0), (0.7, 3.0), (0.9, 5.0), (0.99, 10.0), (1.0, 10.0)]
    {
        assert_eq!(latency.quantile(q), Some(expected), "{q}");
    }
    assert_eq!(Histogram::default().quantile(0.5), None);
}

#[test]
fn a_window_is_the_difference_of_two_scrapes() {
    let mut later = parse(TEXT).unwrap();
    let earlier = later.histogram("latency", &[]);
    later.extend(parse("latency_bucket{le=\"10\"} 10\nlatency_bucket{le=\"+Inf\"} 10\n").unwrap());
    let window = later.histogram("latency", &[]).since(&earlier);
    assert_eq!(window.count(), 10.0);
    assert_eq!(window.quantile(0.5), Some(7.5));
    assert_eq!(earlier.since(&later.histogram("latency", &[])).count(), 0.0);
}

#[test]
fn what_is_not_a_line_is_named() {
    for (text, line) in [
        ("a 1\n<html>\n", 2),
        ("a{b=\"c} 1", 1),
        ("a{b=c} 1", 1),
        ("a", 1),
        ("a x", 1),
        ("{a=\"b\"} 1", 1),
    ] {
        assert_eq!(parse(text).unwrap_err().line, line, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_fall_over(text in "\\PC*\n?\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn a_quantile_lies_within_the_bounds(counts in prop::collection::vec(0u32..1000, 1..10), q in 0.0f64..=1.0) {
        let mut below = 0.0;
        let mut buckets: Vec<(f64, f64)> = (1..).zip(&counts).map(|(bound, count)| {
            below += f64::from(*count);
            (f64::from(bound), below)
        }).collect();
        buckets.push((f64::INFINITY, below));
        let histogram = Histogram { buckets };
        if let Some(value) = histogram.quantile(q) {
            prop_assert!(value >= 0.0 && value <= counts.len() as f64);
        } else {
            prop_assert_eq!(below, 0.0);
        }
    }
}
