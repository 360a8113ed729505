//! What is said of a load is what is understood, and nonsense is nothing.

use proptest::prelude::*;

use super::*;

fn fields(values: &[(&[u8], &[u8])]) -> Fields {
    let mut fields = Fields::default();
    values.iter().for_each(|(name, value)| fields.push(name, value));
    fields
}

/// A message in base64.
fn message(cpu: f64, application: f64) -> String {
    base64::engine::general_purpose::STANDARD
        .encode(LoadReport { cpu, application }.encode_to_vec())
}

#[test]
fn what_a_proxy_wrote_is_read_and_taken_out() {
    for (in_flight, seconds) in [(0.0, 0.0), (12.0, 0.031_5), (4_294_967_000.0, 86_400.0)] {
        let latency = Duration::from_secs_f32(seconds);
        let report = Report { in_flight, latency, answers_probes: true };
        let usage = ",cpu_utilization=0.250,rps_fractional=4294967000.0,eps=4294967000.0";
        let mut text = [0; LONGEST];
        let own = write(report, usage, &mut text);
        assert!(own.ends_with(b"eps=4294967000.0"), "there is room for all of it");
        let mut fields = fields(&[
            (b"endpoint-load-metrics", b"TEXT mem_utilization=0.3"),
            (b"Endpoint-Load-Metrics", own),
        ]);
        let word = take(&mut fields);
        let read = word.report.unwrap();
        assert_eq!((read.in_flight, word.utilization), (in_flight, Some(0.25)));
        assert!(read.answers_probes);
        assert!((read.latency.as_secs_f32() - seconds).abs() < 1e-5 * (1.0 + seconds));
        assert_eq!(fields.len(), 1, "the application's own word stays");
    }
}

#[test]
fn an_application_says_it_in_each_form_and_its_own_measure_goes_first() {
    let binary = message(0.5, 1.5);
    let unpadded = message(0.5, 1.5).trim_end_matches('=').to_owned();
    for (value, expected) in [
        ("TEXT cpu_utilization=0.5", Some(0.5)),
        ("TEXT cpu_utilization=0.5, application_utilization = 1.5", Some(1.5)),
        ("TEXT mem_utilization=0.5", None),
        ("JSON {\"cpu_utilization\": 0.5, \"named_metrics\": {\"x\": 1}}", Some(0.5)),
        ("JSON {\"cpuUtilization\": 0.5, \"applicationUtilization\": 1.5}", Some(1.5)),
        ("JSON {\"cpu_utilization\": -1}", None),
        ("JSON {\"cpu_utilization\": \"much\"}", None),
        ("JSON {", None),
        (&*format!("BIN {binary}"), Some(1.5)),
        (&*format!("BIN {unpadded}"), Some(1.5)),
        (&*format!("BIN {}", message(0.5, 0.0)), Some(0.5)),
        (&*format!("BIN {}", message(f64::NAN, f64::INFINITY)), None),
        ("BIN ", None),
        ("BIN", None),
        ("BIN !", None),
        ("XML <cpu/>", None),
        ("", None),
        (&*format!("TEXT cpu_utilization=0.5{}", " ".repeat(MAX)), None),
    ] {
        let values: &[(&[u8], &[u8])] = &[
            (b"endpoint-load-metrics", b"TEXT named_metrics.meltemi.requests_in_flight=2"),
            (b"endpoint-load-metrics", value.as_bytes()),
        ];
        let mut fields = fields(values);
        let word = take(&mut fields);
        assert_eq!(word.utilization, expected, "{value}");
        assert_eq!(word.report.unwrap().in_flight, 2.0, "{value}");
        assert_eq!(fields.len(), 1, "{value}");
    }
    for value in [&binary, &unpadded] {
        let mut fields = fields(&[(b"endpoint-load-metrics-bin", value.as_bytes())]);
        assert_eq!(of_message(&fields), Some(1.5));
        assert_eq!(take(&mut fields).utilization, Some(1.5));
        assert_eq!(fields.len(), 1, "it is the application's");
    }
}

#[test]
fn what_is_no_number_is_not_there() {
    let load = "TEXT named_metrics.meltemi.requests_in_flight";
    for wrong in ["=", "=x", "=-1", "=NaN", "=inf", "", "=1,named_metrics.meltemi.latency=1e30"] {
        let value = format!("{load}{wrong}");
        let mut fields = fields(&[(b"endpoint-load-metrics", value.as_bytes())]);
        assert_eq!(take(&mut fields), Word::default(), "{wrong}");
        assert!(fields.is_empty(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(
        form in prop::sample::select(vec!["TEXT ", "JSON ", "BIN ", ""]),
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let value = [form.as_bytes(), &rest].concat();
        let word = read(&value);
        let is_measure = |it: f32| it.is_finite() && it > 0.0;
        prop_assert!(word.utilization.is_none_or(is_measure));
    }
}
