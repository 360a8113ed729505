//! The three layouts, and what hostile words come to.

use super::*;

fn line(entry: &Entry<'_>, format: LogFormat) -> String {
    let mut out = Vec::new();
    entry.write(format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn full() -> Entry<'static> {
    Entry {
        start_time: UNIX_EPOCH + Duration::from_millis(1_795_531_440_123),
        method: Some("GET"),
        path: Some("/books?id=1"),
        protocol: Some("HTTP/1.1"),
        response_code: 503,
        response_flags: ResponseFlags::UF | ResponseFlags::URX,
        response_code_details: Some("upstream_reset_before_response_started"),
        bytes_received: 12,
        bytes_sent: 345,
        duration: Duration::from_micros(7800),
        upstream_service_time: Some(Duration::from_millis(6)),
        user_agent: Some("curl/8"),
        request_id: Some("id-1"),
        authority: Some("catalog"),
        upstream_host: Some("127.0.0.1:9000"),
        upstream_cluster: Some("outbound|80||catalog.default.svc.cluster.local"),
        route_name: Some("default"),
        ..Entry::default()
    }
}

#[test]
fn lines_are_laid_out_as_envoy_and_istio_do() {
    for (format, expected) in [
        (
            LogFormat::Envoy,
            "[2026-11-24T14:44:00.123Z] \"GET /books?id=1 HTTP/1.1\" 503 UF,URX 12 345 7 6 \"-\" \
             \"curl/8\" \"id-1\" \"catalog\" \"127.0.0.1:9000\"\n",
        ),
        (
            LogFormat::Istio,
            "[2026-11-24T14:44:00.123Z] \"GET /books?id=1 HTTP/1.1\" 503 UF,URX \
             upstream_reset_before_response_started - \"-\" 12 345 7 6 \"-\" \"curl/8\" \"id-1\" \
             \"catalog\" \"127.0.0.1:9000\" outbound|80||catalog.default.svc.cluster.local - - - - \
             default\n",
        ),
    ] {
        assert_eq!(line(&full(), format), expected);
    }
    let empty = line(&Entry::default(), LogFormat::Envoy);
    let expected =
        "[1970-01-01T00:00:00.000Z] \"- - -\" 0 - 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\"\n";
    assert_eq!(empty, expected);
}

#[test]
fn json_has_istios_keys() {
    let text = line(&full(), LogFormat::Json);
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["start_time"], "2026-11-24T14:44:00.123Z");
    assert_eq!(value["response_code"], 503);
    assert_eq!(value["response_flags"], "UF,URX");
    assert_eq!(value["duration"], 7);
    assert_eq!(value["upstream_service_time"], 6);
    assert!(value["x_forwarded_for"].is_null());
}

#[test]
fn a_header_cannot_forge_a_line() {
    let entry = Entry { user_agent: Some("a\" 200\r\n[x] \\ é"), ..Entry::default() };
    let text = line(&entry, LogFormat::Envoy);
    assert!(text.contains("\"a\\\" 200\\r\\n[x] \\\\ é\""), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(line(&entry, LogFormat::Json).lines().count(), 1);
}

#[test]
fn dates_follow_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, "2000-02-28T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
    ] {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Timestamp(time).to_string(), expected);
    }
}
