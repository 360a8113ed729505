//! What rules of the Gateway API need besides those of Istio's.

use super::*;

/// A rule that is made of routes of a namespace.
fn routes(namespace: &str, name: &str, export_to: &[&str]) -> Arc<VirtualService> {
    Arc::new(VirtualService {
        name: name.into(),
        namespace: namespace.into(),
        api: Api::Gateway,
        export_to: export_to.iter().map(|it| (*it).to_owned()).collect(),
        ..service(vec![route(name, vec![])])
    })
}

#[test]
fn routes_of_the_callers_namespace_go_before_every_virtual_service() {
    let old =
        Arc::new(VirtualService { name: "old".into(), ..service(vec![route("old", vec![])]) });
    let services =
        [routes("far", "consumer", &["."]), old.clone(), routes("default", "producer", &[])];
    for (namespace, expected) in [("far", "consumer"), ("near", "old"), ("default", "producer")] {
        let caller = Caller { namespace, ..SIDECAR };
        let table = Table::compile("reviews", &services, &caller).unwrap().unwrap();
        let found: Vec<&str> = table.virtual_services.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(found, [expected], "{namespace}");
    }
    let young = [routes("default", "producer", &[]), old];
    let near = Caller { namespace: "near", ..SIDECAR };
    let table = Table::compile("reviews", &young, &near).unwrap().unwrap();
    assert_eq!(table.virtual_services[0].name, "producer", "in their order for others");
}

#[test]
fn requests_go_to_the_host_itself_or_nowhere_where_a_rule_says_so() {
    let of_port = |port| HttpMatch { port: Some(port), ..HttpMatch::default() };
    let table = compile(vec![
        HttpRoute { matches: vec![of_port(80)], ..acting("nowhere", Action::Nowhere) },
        acting("itself", Action::Itself),
    ]);
    for (port, name, is_for_itself) in [(80, "nowhere", false), (81, "itself", true)] {
        let call = Call { port, ..Call::get("/") };
        let decision = table.find(&call).unwrap();
        assert_eq!((decision.name(), decision.is_for_itself()), (name, is_for_itself));
        assert!(decision.destination(0).is_none() && decision.direct_response().is_none());
    }
}

#[test]
fn a_share_for_which_nobody_may_be_called_has_its_weight_and_its_reason() {
    let nobody = HttpRouteDestination {
        unusable: Some("not allowed".into()),
        weight: 1,
        ..HttpRouteDestination::default()
    };
    let rule = acting("r", Action::Route(vec![destination("a", 3), nobody]));
    let table = only(HttpRoute { missing_status: Some(500), ..rule });
    let decision = table.find(&Call::get("/")).unwrap();
    assert_eq!(decision.missing_status(), 500);
    let reasons: Vec<_> =
        (0..4).map(|random| decision.destination(random).unwrap().unusable()).collect();
    assert_eq!(reasons, [None, None, None, Some("not allowed")]);
    let plain = only(route("a", vec![]));
    assert_eq!(plain.find(&Call::get("/")).unwrap().missing_status(), 503);
}
