use meltemi_wire::ext_authz::{BoolValue, HeaderValue, HttpStatus, QueryParameter, Status};

use super::*;

fn framed(message: &CheckResponse) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend((bytes.len() as u32).to_be_bytes());
    framed.extend(bytes);
    framed
}

fn response(code: i32, http: Option<HttpResponse>) -> CheckResponse {
    let status = Some(Status { code, ..Status::default() });
    CheckResponse { status, http_response: http, ..CheckResponse::default() }
}

fn header(name: &str, value: &str, append: Option<bool>, action: i32) -> HeaderValueOption {
    #[expect(deprecated, reason = "authorizers still write it")]
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.into(),
            value: value.into(),
            ..HeaderValue::default()
        }),
        append: append.map(|value| BoolValue { value }),
        append_action: action,
        ..HeaderValueOption::default()
    }
}

fn change(name: &str, value: &str, how: How) -> Change {
    Change::new(name.as_bytes(), value.as_bytes(), how).unwrap()
}

#[test]
fn a_permission_says_what_changes() {
    let ok = OkHttpResponse {
        headers: vec![
            header("a", "1", None, 0),
            header("b", "1", Some(true), 0),
            header("c", "1", Some(false), 1),
            header("d", "1", None, 1),
            header("e", "1", None, 2),
            header("f", "1", None, 3),
            header("g", "1", None, 9),
        ],
        headers_to_remove: vec!["h".into()],
        response_headers_to_add: vec![header("i", "1", None, 0)],
        query_parameters_to_set: vec![QueryParameter { key: "j".into(), value: "1".into() }],
        query_parameters_to_remove: vec!["k".into()],
        ..OkHttpResponse::default()
    };
    let read = read(&framed(&response(0, Some(HttpResponse::OkResponse(ok))))).unwrap();
    let hows =
        [How::Set, How::Add, How::Set, How::AddIfAbsent, How::Set, How::SetIfPresent, How::Set];
    let expected = Allowed {
        request: ["a", "b", "c", "d", "e", "f", "g"]
            .iter()
            .zip(hows)
            .map(|(name, how)| change(name, "1", how))
            .collect(),
        remove: vec![b"h".to_vec()],
        set_query: vec![("j".into(), "1".into())],
        remove_query: vec!["k".into()],
        response: vec![change("i", "1", How::Set)],
    };
    assert_eq!(read, Answer::Allow(expected));
}

#[test]
fn a_status_decides_and_not_what_goes_with_it() {
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: 401 }),
        headers: vec![header("www-authenticate", "Basic", None, 0)],
        body: "who?".into(),
    };
    let expected = Denied {
        status: Some(401),
        headers: vec![change("www-authenticate", "Basic", How::Set)],
        body: b"who?".to_vec(),
    };
    let deny = Some(HttpResponse::DeniedResponse(denied.clone()));
    let allow = Some(HttpResponse::OkResponse(OkHttpResponse::default()));
    for (code, http, meant) in [
        (7, deny.clone(), Answer::Deny(expected)),
        (7, None, Answer::Deny(Denied::default())),
        (7, allow.clone(), Answer::Deny(Denied::default())),
        (0, deny, Answer::Allow(Allowed::default())),
        (0, None, Answer::Allow(Allowed::default())),
        (0, allow, Answer::Allow(Allowed::default())),
        (
            13,
            Some(HttpResponse::ErrorResponse(DeniedHttpResponse::default())),
            Answer::Error(Denied::default()),
        ),
    ] {
        assert_eq!(read(&framed(&response(code, http.clone()))).unwrap(), meant, "{code} {http:?}");
    }
    // A status that no answer can have stands for none.
    let strange = DeniedHttpResponse { status: Some(HttpStatus { code: 99 }), ..denied };
    let strange = read(&framed(&response(7, Some(HttpResponse::DeniedResponse(strange))))).unwrap();
    assert!(matches!(strange, Answer::Deny(Denied { status: None, .. })), "{strange:?}");
}

#[test]
fn what_is_no_answer_is_never_a_permission() {
    let ok = framed(&response(0, None));
    let mut compressed = ok.clone();
    compressed[0] = 1;
    let mut longer = ok.clone();
    longer.push(0);
    let split = |name: &str, value: &str| {
        let headers = vec![header(name, value, None, 0)];
        let ok = OkHttpResponse { headers, ..OkHttpResponse::default() };
        framed(&response(0, Some(HttpResponse::OkResponse(ok))))
    };
    let many = OkHttpResponse {
        headers_to_remove: vec!["a".into(); MOST_CHANGES + 1],
        ..OkHttpResponse::default()
    };
    let many = framed(&response(0, Some(HttpResponse::OkResponse(many))));
    for (body, part) in [
        (&b""[..], "empty"),
        (b"\0\0\0", "empty"),
        (&compressed, "one message"),
        (&longer, "one message"),
        (&[&ok[..], &ok[..]].concat(), "one message"),
        (b"\0\0\0\0\x02\x0a\xff", "cannot be read"),
        (&split("a", "b\r\nc: d"), "cannot be carried"),
        (&split("a b", "c"), "cannot be carried"),
        (&many, "things"),
    ] {
        let error = read(body).unwrap_err();
        assert!(error.contains(part), "{body:?}: {error}");
    }
}
