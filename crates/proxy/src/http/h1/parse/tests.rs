use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> (Result<Option<Parsed>, Malformed>, RequestHead) {
    let mut head = RequestHead::default();
    (request(text.as_bytes(), Limits::CALLER, &mut head), head)
}

fn status_of(text: &str) -> u16 {
    match parse(text).0 {
        Err(error) => error.status(),
        Ok(Some(_)) => 200,
        Ok(None) => 0,
    }
}

#[test]
fn requests_whose_end_two_parsers_could_see_differently_are_refused() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\n";
    for (fields, expected) in [
        ("Content-Length: 3\r\n", 200),
        ("Transfer-Encoding: chunked\r\n", 200),
        ("Transfer-Encoding: Chunked\r\n", 200),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 200),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400),
        ("Content-Length: +3\r\n", 400),
        ("Content-Length: -3\r\n", 400),
        ("Content-Length: 0x3\r\n", 400),
        ("Content-Length: \r\n", 400),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("Content-Length : 3\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: \u{b}chunked\r\n", 400),
        ("X: a\rb\r\n", 400),
        ("X: a\r\n b\r\n", 400),
        ("X: a\0b\r\n", 400),
        ("Host: b\r\n", 400),
    ] {
        assert_eq!(status_of(&format!("{post}{fields}\r\n")), expected, "{fields:?}");
    }
}

#[test]
fn targets_are_read_in_all_their_forms() {
    for (line, host, status, target, authority) in [
        ("GET /a?b HTTP/1.1", Some("h"), 200, "/a?b", "h"),
        ("GET http://x:81/a HTTP/1.1", Some("h"), 200, "/a", "x:81"),
        ("GET HTTP://x HTTP/1.1", Some("h"), 200, "/", "x"),
        ("GET http://x?q HTTP/1.1", Some("h"), 200, "/?q", "x"),
        ("OPTIONS * HTTP/1.1", Some("h"), 200, "*", "h"),
        ("CONNECT x:443 HTTP/1.1", Some("x:443"), 200, "", "x:443"),
        ("GET /a HTTP/1.0", None, 200, "/a", ""),
        ("GET /a HTTP/1.1", None, 400, "", ""),
        ("GET a HTTP/1.1", Some("h"), 400, "", ""),
        ("GET * HTTP/1.1", Some("h"), 400, "", ""),
        ("GET https://x/ HTTP/1.1", Some("h"), 400, "", ""),
        ("GET /a#b HTTP/1.1", Some("h"), 400, "", ""),
        ("GET http://u@x/ HTTP/1.1", Some("h"), 400, "", ""),
        ("GET / HTTP/1.1", Some("a b"), 400, "", ""),
        ("GET / HTTP/2.0", Some("h"), 505, "", ""),
        ("GET / HTTP/1.1 x", Some("h"), 505, "", ""),
    ] {
        let host = host.map(|host| format!("Host: {host}\r\n")).unwrap_or_default();
        let text = format!("{line}\r\n{host}\r\n");
        let (parsed, head) = parse(&text);
        match parsed {
            Ok(Some(parsed)) => {
                assert_eq!((200, parsed.size), (status, text.len()), "{line}");
                assert_eq!(std::str::from_utf8(head.target()), Ok(target), "{line}");
                assert_eq!(std::str::from_utf8(head.authority()), Ok(authority), "{line}");
            }
            Ok(None) => panic!("{line} is not whole"),
            Err(error) => assert_ne!(status, 200, "{line}: {error}"),
        }
    }
}

#[test]
fn connections_are_kept_as_version_and_options_say() {
    for (version, option, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let (_, head) = parse(&format!("GET / HTTP/{version}\r\nHost: a\r\n{option}\r\n"));
        assert_eq!(head.keep_alive, kept, "{version} {option}");
    }
}

#[test]
fn heads_are_bounded() {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(MAX_HEAD));
    assert_eq!(status_of(&long), 431);
    let many =
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(Limits::CALLER.fields));
    assert_eq!(status_of(&many), 431);
}

#[test]
fn a_response_ends_as_rfc_9112_says() {
    for (text, to_head, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, Delimiter::Length(3)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, Delimiter::Length(0)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false, Delimiter::Length(0)),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, Delimiter::Length(0)),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, Delimiter::Length(0)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Delimiter::Chunked),
        ("HTTP/1.1 200 OK\r\n\r\n", false, Delimiter::Close),
        ("HTTP/1.0 200 OK\r\n\r\n", false, Delimiter::Close),
    ] {
        let mut head = ResponseHead::default();
        let parsed = response(text.as_bytes(), to_head, &mut head).unwrap().unwrap();
        assert_eq!(parsed.body, expected, "{text}");
        assert!(expected != Delimiter::Close || !head.keep_alive);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..60) {
        let _ = request(&bytes, Limits::CALLER, &mut RequestHead::default());
        let _ = response(&bytes, false, &mut ResponseHead::default());
        let whole = b"POST http://a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        let mut mixed = whole[..cut.min(whole.len())].to_vec();
        mixed.extend_from_slice(&bytes);
        let _ = request(&mixed, Limits::CALLER, &mut RequestHead::default());
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_cut(cut in 0usize..52) {
        let whole = b"GET /path HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nAccept: */*\r\n\r\n";
        let mut head = RequestHead::default();
        prop_assert_eq!(request(&whole[..cut], Limits::CALLER, &mut head), Ok(None));
        prop_assert!(request(whole, Limits::CALLER, &mut head).unwrap().is_some());
        prop_assert_eq!(head.fields.find_name(b"x-y"), Some(&b"z"[..]));
    }
}
