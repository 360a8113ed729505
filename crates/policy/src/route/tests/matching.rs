use super::*;

fn pattern(kind: &str, text: &str) -> StringMatch {
    match kind {
        "exact" => StringMatch::Exact(text.into()),
        "prefix" => StringMatch::Prefix(text.into()),
        "regex" => StringMatch::Regex(text.into()),
        _ => StringMatch::Present,
    }
}

/// Whether each of the calls is matched.
fn check(one: HttpMatch, calls: Vec<(Call, bool)>) {
    let table = only(route("it", vec![one.clone()]));
    for (call, expected) in calls {
        assert_eq!(table.find(&call).is_some(), expected, "{one:?} for {call:?}");
    }
}

#[test]
fn paths_match_as_istio_says() {
    for (path, matched, not) in [
        (exact("/a"), vec!["/a", "/a?b=c", "/a#b"], vec!["/a/", "/A", "/ab", "/"]),
        (prefix("/a"), vec!["/a", "/ab", "/a/b", "/a?x"], vec!["/A", "/b", "/"]),
        (prefix("/a/"), vec!["/a/", "/a/b"], vec!["/a", "/ab"]),
        (prefix("/"), vec!["/", "/a"], vec!["*"]),
        (segments("/a"), vec!["/a", "/a/", "/a/b", "/a?x"], vec!["/ab", "/A", "/"]),
        (segments("/a/"), vec!["/a", "/a/", "/a/b"], vec!["/ab", "/"]),
        (segments("/"), vec!["/", "/a", "/a/b"], vec!["*"]),
        (regex("/a+"), vec!["/a", "/aa", "/aa?b"], vec!["/ab", "/aab", "/b/a", "/"]),
        (regex("/a|/b"), vec!["/a", "/b"], vec!["/ab", "/a/b", "x/b"]),
        (regex("*"), vec!["/", "/a", "*"], vec![]),
        (regex(r"/\d+"), vec!["/12"], vec!["/x", "/\u{662}"]),
        (regex("/(?i)a"), vec!["/a", "/A"], vec!["/b"]),
        (regex("/ä."), vec!["/äb"], vec!["/ä", "/a"]),
        (regex(r"/\p{Greek}"), vec!["/ω"], vec!["/o"]),
    ] {
        let calls = matched.into_iter().map(|path| (Call::get(path), true));
        let calls = calls.chain(not.into_iter().map(|path| (Call::get(path), false)));
        check(uri(path), calls.collect());
    }
}

#[test]
fn case_of_paths_is_ignored_where_that_is_said() {
    let long = format!("/A{}", "b".repeat(400));
    for (path, matched, not) in [
        (exact("/Ab"), vec!["/ab", "/AB", "/aB?X"], vec!["/abc"]),
        (prefix("/Ab"), vec!["/abc", "/ABC", "/aB/c"], vec!["/a"]),
        (segments("/Ab/"), vec!["/ab", "/AB/c"], vec!["/ABC"]),
        (prefix(&long), vec![long.as_str()], vec!["/A"]),
        (regex("/a"), vec!["/a"], vec!["/A"]),
    ] {
        let one = HttpMatch { ignore_uri_case: true, ..uri(path) };
        let calls = matched.into_iter().map(|path| (Call::get(path), true));
        let calls = calls.chain(not.into_iter().map(|path| (Call::get(path), false)));
        check(one, calls.collect());
    }
}

#[test]
fn method_scheme_authority_and_port_match() {
    let get = || Call::get("/");
    let method = Some(pattern("regex", "GET|HEAD"));
    check(
        HttpMatch { method, ..HttpMatch::default() },
        vec![(get(), true), (get().method("HEAD"), true), (get().method("POST"), false)],
    );
    let scheme = Some(pattern("exact", "https"));
    check(
        HttpMatch { scheme, ..HttpMatch::default() },
        vec![(get(), false), (get().from("https", "x", 443), true)],
    );
    let authority = Some(pattern("prefix", "reviews."));
    check(
        HttpMatch { authority, ..HttpMatch::default() },
        vec![(get(), false), (get().from("http", "reviews.default:80", 80), true)],
    );
    check(
        HttpMatch { port: Some(9080), ..HttpMatch::default() },
        vec![(get(), true), (get().from("http", "reviews", 80), false)],
    );
}

#[test]
fn headers_match_by_their_lower_case_name_and_all_values() {
    let get = || Call::get("/");
    for (name, kind, text, calls) in [
        ("End-User", "exact", "jason", vec![("jason", true), ("Jason", false), ("jas", false)]),
        ("end-user", "prefix", "ja", vec![("jason", true), ("xja", false)]),
        ("end-user", "regex", "j.*n", vec![("jason", true), ("jasons", false)]),
        ("end-user", "present", "", vec![("", true), ("x", true)]),
        ("end-user", "regex", "*", vec![("", true), ("x", true)]),
    ] {
        let headers = BTreeMap::from([(name.to_owned(), pattern(kind, text))]);
        let one = HttpMatch { headers, ..HttpMatch::default() };
        let calls = calls.into_iter().map(|(value, hit)| (get().with("end-user", value), hit));
        check(one, calls.chain([(get(), false)]).collect());
    }
    let headers = BTreeMap::from([("x".to_owned(), pattern("exact", "a,b"))]);
    let both = get().with("x", "a").with("x", "b");
    check(HttpMatch { headers, ..HttpMatch::default() }, vec![(both, true)]);
}

#[test]
fn parts_of_the_request_line_can_be_named_as_headers() {
    for (name, text) in [
        (":method", "GET"),
        (":authority", "reviews:9080"),
        ("Host", "reviews:9080"),
        (":path", "/a?b"),
        (":scheme", "http"),
    ] {
        let headers = BTreeMap::from([(name.to_owned(), pattern("exact", text))]);
        check(HttpMatch { headers, ..HttpMatch::default() }, vec![(Call::get("/a?b"), true)]);
    }
    let claim = "@request.auth.claims.Group";
    let headers = BTreeMap::from([(claim.to_owned(), pattern("exact", "admin"))]);
    let calls = vec![(Call::get("/").with(claim, "admin"), true), (Call::get("/"), false)];
    check(HttpMatch { headers, ..HttpMatch::default() }, calls);
}

#[test]
fn headers_that_must_not_be_there_count_as_empty() {
    let get = || Call::get("/");
    for (kind, text, none, empty, x) in [
        ("exact", "x", true, true, false),
        ("exact", "y", true, true, true),
        ("exact", "", false, false, true),
        ("regex", "x?", false, false, false),
        ("present", "", true, false, false),
    ] {
        let without_headers = BTreeMap::from([("h".to_owned(), pattern(kind, text))]);
        let one = HttpMatch { without_headers, ..HttpMatch::default() };
        let calls = vec![(get(), none), (get().with("h", ""), empty), (get().with("h", "x"), x)];
        check(one, calls);
    }
}

#[test]
fn parameters_match_by_their_first_value() {
    for (kind, text, calls) in [
        ("exact", "1", vec![("/?q=1", true), ("/?a=2&q=1", true), ("/?q=2&q=1", false)]),
        ("exact", "", vec![("/?q", true), ("/?q=", true), ("/?q=1", false), ("/?x", false)]),
        (
            "present",
            "",
            vec![("/?q", true), ("/?q=7", true), ("/", false), ("/q=1", false), ("/?qq=1", false)],
        ),
        ("prefix", "a", vec![("/?q=ab#c", true), ("/?q=b", false), ("/?x=q=a", false)]),
        ("regex", "[ab]", vec![("/?q=a", true), ("/?q=ab", false), ("/#?q=a", false)]),
    ] {
        let query_params = BTreeMap::from([("q".to_owned(), pattern(kind, text))]);
        let calls = calls.into_iter().map(|(path, hit)| (Call::get(path), hit)).collect();
        check(HttpMatch { query_params, ..HttpMatch::default() }, calls);
    }
}

#[test]
fn all_of_a_match_and_one_of_several_are_needed() {
    let a = HttpMatch { method: Some(pattern("exact", "POST")), ..uri(prefix("/a")) };
    let table = only(route("it", vec![a, uri(exact("/b"))]));
    for (call, expected) in [
        (Call::get("/a"), "-"),
        (Call::get("/a").method("POST"), "it"),
        (Call::get("/b"), "it"),
        (Call::get("/b").method("POST"), "it"),
        (Call::get("/c").method("POST"), "-"),
    ] {
        assert_eq!(taken(&table, &call), expected, "{call:?}");
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    let header = |name: &str| BTreeMap::from([(name.to_owned(), StringMatch::Present)]);
    let table = compile(vec![
        route("header", vec![HttpMatch { headers: header("x"), ..uri(prefix("/a")) }]),
        route("regex", vec![uri(regex("/a/[0-9]+"))]),
        route("deep", vec![uri(prefix("/a/b"))]),
        route("shallow", vec![uri(prefix("/a"))]),
        route("exact", vec![uri(exact("/a"))]),
        route("folded", vec![HttpMatch { ignore_uri_case: true, ..uri(exact("/B")) }]),
        route("rest", vec![]),
        route("never", vec![uri(exact("/c"))]),
    ]);
    for (call, expected) in [
        (Call::get("/a"), "shallow"),
        (Call::get("/a").with("x", ""), "header"),
        (Call::get("/a/1"), "regex"),
        (Call::get("/a/b/c"), "deep"),
        (Call::get("/a/c"), "shallow"),
        (Call::get("/b"), "folded"),
        (Call::get("/c"), "rest"),
        (Call::get(""), "rest"),
    ] {
        assert_eq!(taken(&table, &call), expected, "{call:?}");
    }
}

/// About a megabyte of rules: each path finds its own, nested or not.
#[test]
fn large_virtual_services_are_no_trouble() {
    let mut http: Vec<_> = (0..8000)
        .map(|number| route(&format!("r{number}"), vec![uri(exact(&format!("/item/{number}")))]))
        .collect();
    let nested = |depth: usize| "/n".repeat(depth);
    http.extend((1..300).map(|it| route(&format!("n{it}"), vec![uri(segments(&nested(it)))])));
    let table = compile(http);
    for number in [0, 1, 10, 4711, 7999] {
        assert_eq!(taken(&table, &Call::get(&format!("/item/{number}"))), format!("r{number}"));
    }
    assert_eq!(taken(&table, &Call::get("/item/8000")), "-");
    // The shallowest prefix is the first rule.
    assert_eq!(taken(&table, &Call::get(&nested(299))), "n1");
}
