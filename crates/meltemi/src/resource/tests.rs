//! Words for kinds, and their paths.

use serde_json::json;

use super::*;

pub(crate) fn served() -> Resources {
    let mut all = Vec::new();
    let core = json!({"resources": [
        {"name": "services", "singularName": "service", "namespaced": true, "kind": "Service", "shortNames": ["svc"]},
        {"name": "services/status", "singularName": "", "namespaced": true, "kind": "Service"},
        {"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "shortNames": ["ns"]},
    ]});
    read(&core, "", "v1", &mut all);
    let routes = json!({"resources": [
        {"name": "gateways", "singularName": "gateway", "namespaced": true, "kind": "Gateway", "shortNames": ["gtw"]},
    ]});
    read(&routes, "gateway.networking.k8s.io", "v1", &mut all);
    let istio = json!({"resources": [
        {"name": "gateways", "singularName": "gateway", "namespaced": true, "kind": "Gateway", "shortNames": ["gw"]},
        {"name": "virtualservices", "singularName": "virtualservice", "namespaced": true, "kind": "VirtualService", "shortNames": ["vs"]},
    ]});
    read(&istio, "networking.istio.io", "v1", &mut all);
    Resources::new(all)
}

#[test]
fn a_kind_has_many_words() {
    let served = served();
    for (word, expected) in [
        ("services", "services"),
        ("Service", "services"),
        ("svc", "services"),
        ("ns", "namespaces"),
        ("VirtualService", "virtualservices.networking.istio.io"),
        ("vs", "virtualservices.networking.istio.io"),
        ("virtualservices.networking.istio.io", "virtualservices.networking.istio.io"),
        ("virtualservices.v1.networking.istio.io", "virtualservices.networking.istio.io"),
        ("gtw", "gateways.gateway.networking.k8s.io"),
        ("gw", "gateways.networking.istio.io"),
        ("gateway", "gateways.networking.istio.io"),
        ("gateway.networking.istio.io", "gateways.networking.istio.io"),
        ("gateways.gateway", "gateways.gateway.networking.k8s.io"),
    ] {
        assert_eq!(served.find(word).map(Resource::full_name).as_deref(), Ok(expected), "{word}");
    }
    let gateway = served.find("gateway").unwrap();
    assert_eq!(served.also_meant("gateway", gateway).len(), 1);
    assert_eq!(served.also_meant("gw", served.find("gw").unwrap()), Vec::<&Resource>::new());
}

#[test]
fn lists_of_kinds_name_each_once() {
    let served = served();
    let names = |words| {
        let found: Vec<_> =
            served.find_all(words)?.into_iter().map(|it| it.plural.clone()).collect();
        Ok::<_, Failure>(found)
    };
    assert_eq!(names("svc,vs,services").unwrap(), ["services", "virtualservices"]);
    assert_eq!(names("all").unwrap(), ["services", "virtualservices", "gateways", "gateways"]);
    assert!(matches!(names(","), Err(Failure::Usage(_))));
}

#[test]
fn an_unknown_word_brings_a_suggestion() {
    let served = served();
    let message = |word| match served.find(word) {
        Err(Failure::Failed(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(message("servces").ends_with("did you mean \"services\"?"), "{}", message("servces"));
    assert!(message("bananas").ends_with(
        "use one of services, namespaces, gateways, virtualservices, gateways.gateway.networking.k8s.io"
    ));
    assert!(message("services.istio.io").contains("serves no kind"));
}

#[test]
fn paths_and_labels() {
    let served = served();
    let route = served.find("vs").unwrap();
    assert_eq!(route.path(None, None), "/apis/networking.istio.io/v1/virtualservices");
    assert_eq!(
        route.path(Some("shop"), Some("a/b")),
        "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/a%2Fb"
    );
    assert_eq!(
        route.path_in("v1beta1", Some("shop"), None),
        "/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices"
    );
    assert_eq!(route.label(), "virtualservice.networking.istio.io");
    assert_eq!(route.api_version(), "networking.istio.io/v1");
    let namespace = served.find("ns").unwrap();
    assert_eq!(namespace.path(Some("shop"), Some("x")), "/api/v1/namespaces/x");
    assert_eq!(namespace.label(), "namespace");
    assert_eq!(served.of_object("v1", "Service").unwrap().plural, "services");
    assert!(served.of_object("v1", "Gateway").is_err());
}

#[test]
fn distances() {
    for (a, b, expected) in
        [("", "", 0), ("abc", "abc", 0), ("servces", "services", 1), ("ab", "", 2)]
    {
        assert_eq!(distance(a, b), expected, "{a} {b}");
    }
}
