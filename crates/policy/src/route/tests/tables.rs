use super::*;

fn named(name: &str, change: impl FnOnce(&mut VirtualService)) -> Arc<VirtualService> {
    let mut service = VirtualService { name: name.into(), ..service(vec![route(name, vec![])]) };
    service.http.insert(0, route(&format!("{name}-a"), vec![uri(exact(&format!("/{name}")))]));
    change(&mut service);
    Arc::new(service)
}

fn names(services: &[Arc<VirtualService>], caller: &Caller<'_>, host: &str) -> Vec<String> {
    let table = Table::compile(host, services, caller).unwrap();
    let of = |table: Table| table.virtual_services.iter().map(|it| it.name.clone()).collect();
    table.map_or(Vec::new(), of)
}

#[test]
fn a_sidecar_takes_the_first_that_is_for_it() {
    let services = [
        named("gateway", |it| it.gateways = vec!["ns/gateway".into()]),
        named("other", |it| it.export_to = vec!["other".into()]),
        named("own", |it| {
            it.namespace = "elsewhere".into();
            it.export_to = vec![".".into()];
        }),
        named("ours", |it| it.export_to = vec!["x".into(), "default".into()]),
        named("all", |it| it.export_to = vec!["*".into()]),
    ];
    assert_eq!(names(&services, &SIDECAR, "reviews"), ["ours"]);
    let other = Caller { namespace: "elsewhere", ..SIDECAR };
    assert_eq!(names(&services, &other, "reviews"), ["own"]);
    let stranger = Caller { namespace: "stranger", ..SIDECAR };
    assert_eq!(names(&services, &stranger, "reviews"), ["all"]);
    assert_eq!(names(&services[..2], &SIDECAR, "reviews"), Vec::<String>::new());
}

#[test]
fn a_gateway_takes_all_for_the_same_host() {
    let bound = |name: &str, host: &str| {
        named(name, |it| {
            it.gateways = vec!["ns/gateway".into(), MESH.into()];
            it.hosts = vec!["x".into(), host.into()];
        })
    };
    let services =
        [bound("a", "*.b.com"), bound("b", "*.b.com"), bound("c", "*.com"), bound("d", "a.b.com")];
    let gateway = Caller { gateway: "ns/gateway", ..SIDECAR };
    assert_eq!(names(&services, &gateway, "a.b.com"), ["a", "b"]);
    assert_eq!(names(&services, &gateway, "*.b.com"), ["a", "b"]);
    let reversed: Vec<_> = services.iter().rev().cloned().collect();
    assert_eq!(names(&reversed, &gateway, "a.b.com"), ["d"]);
    let table = Table::compile("*.b.com", &services, &gateway).unwrap().unwrap();
    let http = table.http.unwrap();
    assert_eq!(taken(&http, &Call::get("/a")), "a-a");
    assert_eq!(taken(&http, &Call::get("/b")), "a");
}

#[test]
fn matches_that_do_not_fit_the_proxy_are_left_out() {
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let web = |one: HttpMatch| HttpMatch {
        source_labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ..one
    };
    let named = |name: &str| vec![name.to_owned()];
    let one = HttpMatch::default;
    for (rule, sidecar, web_sidecar, gateway) in [
        (one(), true, true, true),
        (web(one()), false, true, false),
        (HttpMatch { source_namespace: Some("other".into()), ..one() }, false, false, false),
        (HttpMatch { source_namespace: Some("default".into()), ..one() }, true, true, true),
        (HttpMatch { gateways: named(MESH), ..one() }, true, true, false),
        (HttpMatch { gateways: named("ns/gateway"), ..one() }, false, false, true),
        (web(HttpMatch { gateways: named(MESH), ..one() }), false, true, false),
        (web(HttpMatch { gateways: named("ns/gateway"), ..one() }), false, false, true),
    ] {
        let mut service = service(vec![route("it", vec![rule.clone()])]);
        service.gateways = vec![MESH.into(), "ns/gateway".into()];
        let services = [Arc::new(service)];
        let callers = [
            (SIDECAR, sidecar),
            (Caller { labels: &labels, ..SIDECAR }, web_sidecar),
            (Caller { gateway: "ns/gateway", ..SIDECAR }, gateway),
        ];
        for (caller, expected) in callers {
            let table = Table::compile("reviews", &services, &caller).unwrap().unwrap();
            let Some(http) = table.http else {
                assert!(!expected && caller.gateway == MESH, "{rule:?} {caller:?}");
                continue;
            };
            assert_eq!(http.len(), usize::from(expected), "{rule:?} {caller:?}");
            assert_eq!(http.is_empty(), !expected);
            assert_eq!(http.find(&Call::get("/")).is_some(), expected);
        }
    }
}

#[test]
fn a_port_that_no_match_is_for_has_no_rules() {
    let port = |port| HttpMatch { port: Some(port), ..HttpMatch::default() };
    let table = only(route("it", vec![port(80), port(8080)]));
    assert!(table.serves(80) && table.serves(8080) && !table.serves(81));
    let table = only(route("it", vec![port(80), uri(exact("/a"))]));
    assert!(table.serves(80) && table.serves(81));
    assert!(only(route("it", vec![])).serves(81));
}

#[test]
fn a_route_has_the_name_of_its_match() {
    let one = HttpMatch { name: "one".into(), ..uri(exact("/a")) };
    let table = only(route("it", vec![one, uri(exact("/b"))]));
    assert_eq!(taken(&table, &Call::get("/a")), "it.one");
    assert_eq!(taken(&table, &Call::get("/b")), "it");
    let call = Call::get("/a");
    let found = table.find(&call).unwrap();
    assert_eq!(found.matched().unwrap().name, "one");
    assert_eq!(
        (found.rule().name.as_str(), found.virtual_service().name.as_str()),
        ("it", "reviews")
    );
}
