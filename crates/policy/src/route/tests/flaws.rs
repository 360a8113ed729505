use super::*;

fn refusal(service: VirtualService) -> String {
    try_compile(service).unwrap_err().to_string()
}

fn header(name: &str, value: &str) -> Headers {
    let set = vec![Header { name: name.into(), value: value.into() }];
    let request = HeaderOperations { set, ..HeaderOperations::default() };
    Headers { request, ..Headers::default() }
}

#[test]
fn flaws_say_which_virtual_service_and_where() {
    let base = || route("it", vec![]);
    let rewrite = |uri| Some(Rewrite { uri: Some(uri), authority: None });
    let parts = |pattern: &str, rewrite: &str| PathRewrite::Regex {
        pattern: pattern.into(),
        rewrite: rewrite.into(),
    };
    let headers = BTreeMap::from([("x".to_owned(), StringMatch::Regex("(".into()))]);
    let with_header = vec![HttpMatch { headers, ..HttpMatch::default() }];
    let retries = Some(RetryRule { retry_on: "often".into(), ..RetryRule::default() });
    let origins = vec![StringMatch::Regex("[".into())];
    let cors_policy = Some(CorsPolicy { allow_origins: origins, ..CorsPolicy::default() });
    let redirect = |code| Action::Redirect(Redirect { code, ..Redirect::default() });
    let own = HttpRouteDestination { headers: header("x", "a\r\nb"), ..destination("a", 1) };
    let zero = vec![destination("a", 0), destination("b", 0)];
    let authority = Some(Rewrite { authority: Some("a b".into()), uri: None });
    for (rule, at, text) in [
        (route("it", vec![uri(exact("/")), uri(regex("/("))]), "(it).match[1].uri: ", "`/(`"),
        (route("", vec![uri(regex("a)(b"))]), "http[0].match[0].uri: ", "`a)(b`"),
        (route("", vec![uri(regex("(?x)a #"))]), "http[0].match[0].uri: ", "not whole"),
        (route("it", with_header), "(it).match[0].headers[x]: ", "`(`"),
        (HttpRoute { retries, ..base() }, "(it).retries.retryOn: ", "`often`"),
        (HttpRoute { cors_policy, ..base() }, "(it).corsPolicy.allowOrigins[0]: ", "`[`"),
        (acting("it", redirect(200)), "(it).redirect.redirectCode: ", "200"),
        (acting("it", Action::Route(vec![])), "(it).route: ", "no destination"),
        (acting("it", Action::Route(zero)), "(it).route: ", "are 0"),
        (acting("it", Action::Route(vec![own])), "(it).route[0].headers.request.set[x]: ", "stand"),
        (
            HttpRoute { headers: header("a b", "c"), ..base() },
            "(it).headers.request.set[a b]: ",
            "name",
        ),
        (HttpRoute { rewrite: authority, ..base() }, "(it).rewrite.authority: ", "`a b`"),
        (
            HttpRoute { rewrite: rewrite(parts("a", r"\1")), ..base() },
            "(it).rewrite.uriRegexRewrite: ",
            "group 1",
        ),
        (
            HttpRoute { rewrite: rewrite(parts("a", r"\")), ..base() },
            "(it).rewrite.uriRegexRewrite: ",
            "digit",
        ),
        (
            HttpRoute { rewrite: rewrite(PathRewrite::Full("/\n".into())), ..base() },
            "(it).rewrite.uri: ",
            "stand",
        ),
    ] {
        let message = refusal(service(vec![rule]));
        let is_placed = message.starts_with("VirtualService default/reviews, http[0]");
        assert!(is_placed && message.contains(at) && message.contains(text), "{message}");
    }
    let answer = DirectResponse { status: 99, body: None };
    let message = refusal(service(vec![base(), acting("", Action::DirectResponse(answer))]));
    assert!(message.contains("http[1].directResponse.status: 99"), "{message}");
}

#[test]
fn flaws_of_connections_say_where() {
    let to = |weight| RouteDestination { weight, ..RouteDestination::default() };
    let subnet = TcpMatch { destination_subnets: vec!["10.0.0/8".into()], ..TcpMatch::default() };
    let tcp = vec![TcpRoute { matches: vec![subnet], route: vec![to(1)] }];
    let message = refusal(VirtualService { tcp, ..service(vec![]) });
    assert!(message.contains("tcp[0].match[0].destinationSubnets: `10.0.0/8`"), "{message}");
    let tls = vec![TlsRoute { matches: vec![], route: vec![to(0), to(0)] }];
    let message = refusal(VirtualService { tls, ..service(vec![]) });
    assert!(message.contains("tls[0].route: the weights"), "{message}");
}

#[test]
fn expressions_that_blow_up_are_refused() {
    for pattern in ["(a{1,1000}){1,1000}", "((a{100}){100}){100}", r"(\pL{1,200}){1,200}"] {
        let message = refusal(service(vec![route("it", vec![uri(regex(pattern))])]));
        assert!(message.contains("takes more than"), "{message}");
    }
    let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
    let message = refusal(service(vec![route("it", vec![uri(regex(&deep))])]));
    assert!(message.contains("nest"), "{message}");
}

#[test]
fn many_expressions_together_are_bounded() {
    let many = |count: usize| {
        let one = |number: usize| uri(regex(&format!("/{number}/[a-z]{{1,200}}/[0-9]{{1,200}}")));
        service(vec![route("it", (0..count).map(one).collect())])
    };
    assert!(try_compile(many(100)).is_ok());
    let message = refusal(many(2000));
    assert!(message.contains("2000 regular expressions"), "{message}");
}

/// What backtracks elsewhere is linear here.
#[test]
fn evil_expressions_are_no_trouble() {
    let table = only(route("it", vec![uri(regex("/(a+)+b"))]));
    let call = Call::get(&format!("/{}", "a".repeat(20_000)));
    assert_eq!(taken(&table, &call), "-");
}
