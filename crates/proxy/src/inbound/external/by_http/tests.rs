use meltemi_policy::authz::provider::{Protocol, Provider};

use super::*;
use crate::http::kept::Kept;

fn authorizer(http: Http) -> Authorizer {
    Authorizer::new(Provider {
        name: "a".into(),
        service: "a.example".into(),
        namespace: String::new(),
        port: 80,
        timeout_ms: 1000,
        fail_open: false,
        status_on_error: 403,
        body: None,
        protocol: Protocol::Http(http),
    })
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|it| (*it).to_owned()).collect()
}

fn answered(status: u16, fields: &[(&str, &str)], body: &str) -> Answered {
    let mut answer = Kept::new(100);
    answer.head.status = status;
    for (name, value) in fields {
        answer.head.fields.push(name.as_bytes(), value.as_bytes());
    }
    answer.write(body.as_bytes()).unwrap();
    Answered { answer, grpc_status: None }
}

fn change(name: &str, value: &str, how: How) -> Change {
    Change::new(name.as_bytes(), value.as_bytes(), how).unwrap()
}

#[test]
fn a_question_is_like_the_request_with_what_may_be_shown() {
    let authorizer = authorizer(Http {
        path_prefix: "/check".into(),
        include_request_headers_in_check: names(&["x-team", "x-own-*"]),
        include_additional_headers_in_check: [("x-team".to_owned(), "set".to_owned())].into(),
        ..Http::default()
    });
    let mut request = RequestHead::default();
    request.method = request.fields.store(b"PUT");
    request.set_target(b"/a?b=c");
    request.set_authority(b"web:80");
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("x-own-a", "1"),
        ("X-Team", "callers"),
        ("content-length", "5"),
    ] {
        request.fields.push(name.as_bytes(), value.as_bytes());
    }
    let Protocol::Http(http) = &authorizer.said.protocol else { panic!() };
    let names = authorizer.names.as_ref().unwrap();
    let (head, body) = question(http, names, &request, None);
    assert_eq!(
        (head.method(), head.target(), head.authority()),
        (&b"PUT"[..], &b"/check/a?b=c"[..], &b"web:80"[..])
    );
    let fields: Vec<_> =
        head.fields.iter().map(|(_, name, value)| (name.to_vec(), value.to_vec())).collect();
    let expected = [
        ("authorization", "Bearer x"),
        ("x-own-a", "1"),
        ("x-team", "set"),
        ("content-length", "0"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(a, b)| (a.as_bytes().to_vec(), b.as_bytes().to_vec())).collect();
    assert_eq!((fields, body.len(), head.body), (expected, 0, BodyLength::Empty));
    let shown = Shown { bytes: b"hel".to_vec(), is_partial: true };
    let (head, body) = question(http, names, &request, Some(&shown));
    assert_eq!(head.fields.find_name(b"x-envoy-auth-partial-body"), Some(&b"true"[..]));
    assert_eq!((&body[..], head.body), (&b"hel"[..], BodyLength::Exact(3)));
    assert_eq!(head.fields.find(Known::ContentLength), Some(&b"3"[..]));
}

#[test]
fn a_status_is_the_answer() {
    let all = authorizer(Http::default());
    let some = authorizer(Http {
        headers_to_upstream_on_allow: names(&["x-user*"]),
        headers_to_downstream_on_deny: names(&["x-why"]),
        headers_to_downstream_on_allow: names(&["set-cookie"]),
        ..Http::default()
    });
    let fields = [
        ("x-user", "ann"),
        ("x-user", "bob"),
        ("x-why", "no"),
        ("set-cookie", "a=b"),
        ("location", "/login"),
        ("x-envoy-auth-headers-to-remove", "x-a, x-b,"),
    ];
    assert_eq!(
        answer(&some, &answered(200, &fields, "")),
        Ok(Answer::Allow(Allowed {
            request: vec![change("x-user", "ann", How::Set), change("x-user", "bob", How::Add)],
            remove: vec![b"x-a".to_vec(), b"x-b".to_vec()],
            response: vec![change("set-cookie", "a=b", How::Set)],
            ..Allowed::default()
        }))
    );
    let denied = |authorizer: &Authorizer| match answer(authorizer, &answered(302, &fields, "go")) {
        Ok(Answer::Deny(denied)) => denied,
        other => panic!("{other:?}"),
    };
    let by_list = denied(&some);
    assert_eq!((by_list.status, &by_list.body[..]), (Some(302), &b"go"[..]));
    let told = [change("x-why", "no", How::Set), change("location", "/login", How::Set)];
    assert_eq!(by_list.headers, told);
    assert_eq!(denied(&all).headers.len(), 5);
    for (authorizer, status) in [(&all, 500), (&some, 503)] {
        assert!(answer(authorizer, &answered(status, &[], "")).unwrap_err().contains("status"));
    }
    let many: Vec<(&str, &str)> = vec![("x-user", "a"); MOST_CHANGES + 1];
    assert!(answer(&some, &answered(200, &many, "")).unwrap_err().contains("more than"));
}
