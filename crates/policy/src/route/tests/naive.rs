//! The compiled table decides as one does that reads the rules from first to last.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

/// The first match of the first route, read from the rules.
fn find(http: &[HttpRoute], caller: &Caller<'_>, call: &Call) -> Option<(usize, Option<usize>)> {
    for (index, route) in http.iter().enumerate() {
        if route.matches.is_empty() {
            return Some((index, None));
        }
        let found = route.matches.iter().position(|one| is_match(one, caller, call));
        if let Some(found) = found {
            return Some((index, Some(found)));
        }
    }
    None
}

fn is_match(one: &HttpMatch, caller: &Caller<'_>, call: &Call) -> bool {
    let path = call.path.split(['?', '#']).next().unwrap();
    let is_all = |patterns: &BTreeMap<String, StringMatch>,
                  find: &dyn Fn(&str) -> Option<String>| {
        patterns.iter().all(|(name, it)| find(name).is_some_and(|value| text(it, &value)))
    };
    let header =
        |name: &str| call.header(name).map(|value| String::from_utf8(value.into_owned()).unwrap());
    let query = call.path.split_once('?').map_or("", |(_, query)| query);
    let parameter = |name: &str| {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_owned())
    };
    let without = one.without_headers.iter().all(|(name, it)| match (it, header(name)) {
        (StringMatch::Present, value) => value.is_none(),
        (it, value) => !text(it, &value.unwrap_or_default()),
    });
    one.uri.as_ref().is_none_or(|it| path_is(it, path, one.ignore_uri_case))
        && one.method.as_ref().is_none_or(|it| text(it, &call.method))
        && one.port.is_none_or(|port| port == call.port)
        && is_all(&one.headers, &header)
        && without
        && is_all(&one.query_params, &parameter)
        && one.source_labels.iter().all(|(name, value)| caller.labels.get(name) == Some(value))
        && one.source_namespace.as_ref().is_none_or(|it| it == caller.namespace)
        && (one.gateways.is_empty() || one.gateways.iter().any(|it| it == caller.gateway))
}

fn text(pattern: &StringMatch, value: &str) -> bool {
    match pattern {
        StringMatch::Present => true,
        StringMatch::Exact(text) => value == text,
        StringMatch::Prefix(text) => value.starts_with(text.as_str()),
        StringMatch::Regex(text) => whole(text, value),
    }
}

fn path_is(pattern: &PathMatch, path: &str, ignore_case: bool) -> bool {
    let fold = |text: &str| if ignore_case { text.to_lowercase() } else { text.to_owned() };
    match pattern {
        PathMatch::Exact(text) => fold(path) == fold(text),
        PathMatch::Prefix(text) => fold(path).starts_with(&fold(text)),
        PathMatch::PathPrefix(text) => {
            let (path, text) = (fold(path), fold(text));
            let text = text.trim_end_matches('/');
            path == text || path.starts_with(&format!("{text}/"))
        }
        PathMatch::Regex(text) => whole(text, path),
    }
}

fn whole(pattern: &str, value: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, ::regex::Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    let build = || ::regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
    KNOWN.with_borrow_mut(|known| {
        known.entry(pattern.to_owned()).or_insert_with(build).is_match(value)
    })
}

/// Few letters, so that paths are often prefixes of each other.
fn path() -> impl Strategy<Value = String> {
    "(/(a|b|ab|A|B)){0,3}/?".prop_map(|path| if path.is_empty() { "/".into() } else { path })
}

fn string_match() -> impl Strategy<Value = StringMatch> {
    prop_oneof![
        Just(StringMatch::Present),
        "[ab]{0,2}".prop_map(StringMatch::Exact),
        "[ab]{0,2}".prop_map(StringMatch::Prefix),
        Just(StringMatch::Regex("a*b?".into())),
    ]
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    let regexes = prop::sample::select(vec!["/a.*", "/[ab]+", "/a/(a|b)", ".*b", "/(?i)b"]);
    prop_oneof![
        path().prop_map(PathMatch::Exact),
        path().prop_map(PathMatch::Prefix),
        path().prop_map(PathMatch::PathPrefix),
        regexes.prop_map(|it| PathMatch::Regex(it.into())),
    ]
}

/// Something that is rarely asked.
fn seldom<T: std::fmt::Debug>(it: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.15, it)
}

fn named(
    it: impl Strategy<Value = StringMatch>,
) -> impl Strategy<Value = BTreeMap<String, StringMatch>> {
    seldom(("[xy]", it)).prop_map(|it| it.into_iter().collect())
}

fn http_match() -> impl Strategy<Value = HttpMatch> {
    let path = (prop::option::weighted(0.9, path_match()), prop::bool::weighted(0.2));
    let method = seldom(Just(StringMatch::Exact("POST".into())));
    let texts = (named(string_match()), named(string_match()), named(string_match()));
    let source = (
        seldom(prop::sample::select(vec!["1", "2"])),
        seldom(prop::sample::select(vec!["default", "other"])),
        seldom(prop::sample::select(vec![MESH, "ns/gateway"])),
    );
    let port = seldom(prop::sample::select(vec![80u16, 9080]));
    (path, method, texts, source, port).prop_map(|(path, method, texts, source, port)| HttpMatch {
        uri: path.0,
        ignore_uri_case: path.1,
        method,
        headers: texts.0,
        without_headers: texts.1,
        query_params: texts.2,
        port,
        source_labels: source.0.map(|it| ("version".into(), it.into())).into_iter().collect(),
        source_namespace: source.1.map(Into::into),
        gateways: source.2.map(Into::into).into_iter().collect(),
        ..HttpMatch::default()
    })
}

fn call() -> impl Strategy<Value = Call> {
    let query = prop::option::of("([xyz](=[ab]{0,2})?&?){0,3}");
    let headers = prop::collection::vec(("[xyz]", "[ab]{0,2}"), 0..3);
    let method = prop::sample::select(vec!["GET", "POST"]);
    let port = prop::sample::select(vec![80u16, 9080]);
    (path(), query, headers, method, port).prop_map(|(path, query, headers, method, port)| Call {
        path: query.map_or(path.clone(), |query| format!("{path}?{query}")),
        headers,
        port,
        ..Call::get("").method(method)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_table_decides_as_the_rules_read(
        matches in prop::collection::vec(prop::collection::vec(http_match(), 1..4), 0..10),
        has_rest in prop::bool::weighted(0.3),
        calls in prop::collection::vec(call(), 20),
    ) {
        let mut http: Vec<_> = matches.into_iter().map(|it| route("it", it)).collect();
        if has_rest {
            http.insert(http.len() / 2 + 1.min(http.len()), route("rest", vec![]));
        }
        let labels = BTreeMap::from([("version".to_owned(), "1".to_owned())]);
        let caller = Caller { labels: &labels, ..SIDECAR };
        let services = [Arc::new(service(http.clone()))];
        let table = Table::compile("reviews", &services, &caller).unwrap().unwrap().http;
        for call in &calls {
            let found = table.as_ref().and_then(|table| table.find(call)).map(|found| {
                let rule = http_index(&services[0].http, found.rule());
                let matches = &found.rule().matches;
                let at = |one: &HttpMatch| matches.iter().position(|it| std::ptr::eq(it, one)).unwrap();
                (rule, found.matched().map(at))
            });
            prop_assert_eq!(found, find(&http, &caller, call), "{:?}", call);
        }
    }
}

fn http_index(http: &[HttpRoute], rule: &HttpRoute) -> usize {
    http.iter().position(|it| std::ptr::eq(it, rule)).unwrap()
}
