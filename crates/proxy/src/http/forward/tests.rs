use super::*;

fn head(fields: &[(&str, &str)], upgrade: bool) -> RequestHead {
    let mut head = RequestHead { upgrade, ..RequestHead::default() };
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn text(fields: &Fields) -> Vec<String> {
    let line = |(_, name, value): (Known, &[u8], &[u8])| {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    fields.iter().map(line).collect()
}

#[test]
fn fields_of_one_hop_end_here() {
    for (given, upgrade, kept) in [
        (
            &[("Connection", "close"), ("Keep-Alive", "timeout=5"), ("A", "b")][..],
            false,
            &["A: b"][..],
        ),
        (
            &[("Connection", "x-private, keep-alive"), ("X-Private", "1"), ("X-Public", "2")],
            false,
            &["X-Public: 2"],
        ),
        (&[("TE", "trailers"), ("Trailer", "x")], false, &["TE: trailers"]),
        (&[("TE", "gzip")], false, &[]),
        (&[("Connection", "upgrade"), ("Upgrade", "websocket")], true, &["Upgrade: websocket"]),
        (&[("Connection", "upgrade"), ("Upgrade", "h2c")], false, &[]),
        (
            &[("Connection", "content-length"), ("Content-Length", "3")],
            false,
            &["Content-Length: 3"],
        ),
        (&[("Proxy-Authorization", "secret"), ("Proxy-Connection", "x")], false, &[]),
    ] {
        let mut head = head(given, upgrade);
        drop_hop_by_hop(&mut head.fields, upgrade);
        assert_eq!(text(&head.fields), kept, "{given:?}");
    }
}

#[test]
fn an_application_cannot_speak_for_a_proxy() {
    let mut head = head(
        &[
            ("X-Forwarded-Client-Cert", "By=me"),
            ("x-meltemi-not-answered", "1"),
            ("x-envoy-attempt-count", "9"),
            ("x-request-id", "mine"),
            ("x-forwarded-for", "10.0.0.1"),
            ("traceparent", "00-1-2-01"),
            ("x-forwarded-proto", "https"),
        ],
        false,
    );
    outbound_request(&mut head, || [0; 16]);
    set_attempt(&mut head, 12);
    assert_eq!(
        text(&head.fields),
        [
            "x-request-id: mine",
            "x-forwarded-for: 10.0.0.1",
            "traceparent: 00-1-2-01",
            "x-forwarded-proto: https",
            "x-envoy-attempt-count: 12",
        ]
    );
}

#[test]
fn a_request_without_an_id_gets_one() {
    let mut head = head(&[], false);
    outbound_request(&mut head, || [7; 16]);
    assert_eq!(
        text(&head.fields),
        ["x-request-id: 07070707-0707-4707-8707-070707070707", "x-forwarded-proto: http"]
    );
}

#[test]
fn the_callers_certificate_stands_in_place_of_what_it_says() {
    let mut first = head(&[("x-request-id", "a"), ("x-forwarded-proto", "http")], false);
    inbound_request(&mut first, Some(b"By=b;URI=a"), || [0; 16]);
    assert_eq!(first.fields.find(Known::ForwardedClientCert), Some(&b"By=b;URI=a"[..]));
    first.fields.push(b"x-forwarded-client-cert", b"URI=root");
    inbound_request(&mut first, Some(b"By=c;URI=b"), || [0; 16]);
    let all: Vec<_> = first.fields.find_all(Known::ForwardedClientCert).collect();
    assert_eq!(all, [b"By=c;URI=b"]);
    // Nobody vouches for what a caller in plaintext says.
    inbound_request(&mut first, None, || [0; 16]);
    assert_eq!(first.fields.find(Known::ForwardedClientCert), None);
}
