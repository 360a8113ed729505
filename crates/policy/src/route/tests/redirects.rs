use super::*;

fn locate(rule: Redirect, path: PathMatch, call: &Call) -> (u16, String) {
    let base = acting("it", Action::Redirect(rule));
    let table = only(HttpRoute { matches: vec![uri(path)], ..base });
    let mut out = Vec::new();
    let code = table.find(call).unwrap().redirect(call, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn the_path_there_is_put_in_place() {
    let full = |text: &str| Some(PathRewrite::Full(text.into()));
    let put = |text: &str| Some(PathRewrite::Prefix(text.into()));
    for (path, rewrite, expected) in [
        (exact("/a/b"), None, "http://reviews:9080/a/b?c=d"),
        (exact("/a/b"), full("/x"), "http://reviews:9080/x?c=d"),
        (exact("/a/b"), full("/x?y"), "http://reviews:9080/x?y"),
        (segments("/a"), put("/x"), "http://reviews:9080/x/b?c=d"),
        (segments("/a"), put("/"), "http://reviews:9080/b?c=d"),
    ] {
        let rule = Redirect { uri: rewrite, ..Redirect::default() };
        let found = locate(rule, path, &Call::get("/a/b?c=d"));
        assert_eq!(found, (301, expected.to_owned()));
    }
}

#[test]
fn scheme_host_and_port_there_are_envoys() {
    use RedirectPort::*;
    let cases = [
        // scheme there, host there, port there; scheme, host and port asked; result
        (None, None, None, ("http", "a:8080"), "http://a:8080/"),
        (Some("https"), None, None, ("http", "a:80"), "https://a/"),
        (Some("https"), None, None, ("http", "a:8080"), "https://a:8080/"),
        (None, None, None, ("http", "a:80"), "http://a:80/"),
        (Some("http"), None, None, ("https", "a:443"), "http://a/"),
        (None, Some("b"), None, ("http", "a:8080"), "http://b/"),
        (None, Some("b:1"), None, ("http", "a:8080"), "http://b:1/"),
        (None, None, Some(Number(8443)), ("http", "a:8080"), "http://a:8443/"),
        (None, None, Some(Number(80)), ("http", "a:8080"), "http://a/"),
        (Some("https"), None, Some(Number(443)), ("http", "a:8080"), "https://a/"),
        (Some("https"), None, Some(Number(80)), ("http", "a"), "https://a:80/"),
        (Some("https"), None, Some(FromProtocolDefault), ("http", "a:8080"), "https://a/"),
        (None, Some("b"), Some(FromRequestPort), ("http", "a:8080"), "http://b:8080/"),
        (None, None, Some(Number(1)), ("http", "[::1]:8080"), "http://[::1]:1/"),
        (Some("https"), None, None, ("http", "[::1]:80"), "https://[::1]/"),
    ];
    for (scheme, authority, port, (own, asked), expected) in cases {
        let scheme = scheme.map(str::to_owned);
        let authority = authority.map(str::to_owned);
        let rule = Redirect { scheme, authority, port, code: 308, uri: None };
        let call = Call::get("/").from(own, asked, 8080);
        let found = locate(rule.clone(), prefix("/"), &call);
        assert_eq!(found, (308, expected.to_owned()), "{rule:?} {asked}");
    }
}
