//! The schemas of all kinds hold together.

use meltemi_api::{Kind, schema};
use serde_json::Value;

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_no_alternatives_are_left() {
    for kind in Kind::all() {
        let root = schema(*kind);
        assert_eq!(root["type"], "object", "{kind}");
        walk(&root, &mut |value| {
            if let Some(reference) = value["$ref"].as_str() {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{kind}: {reference} leads nowhere");
            }
            for word in ["anyOf", "oneOf", "allOf"] {
                assert!(!value[word].is_array(), "{kind}: {value}");
            }
        });
    }
}

#[test]
fn closed_sets_and_bounds_are_told() {
    let root = schema(Kind::PeerAuthentication);
    let modes = &root["$defs"]["MutualTlsMode"]["enum"];
    assert_eq!(*modes, serde_json::json!(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]));
    let service = schema(Kind::Service);
    let port = &service["$defs"]["ServicePort"]["properties"]["port"];
    assert_eq!((&port["minimum"], &port["maximum"]), (&1.into(), &65535.into()));
    assert_eq!(
        schema(Kind::VirtualService)["properties"]["spec"]["$ref"],
        "#/$defs/VirtualServiceSpec"
    );
    let required = &schema(Kind::DestinationRule)["required"];
    assert!(required.as_array().unwrap().contains(&"spec".into()), "{required}");
}

#[test]
fn kinds_are_found_by_their_words() {
    for (word, expected) in [
        ("vs", Some(Kind::VirtualService)),
        ("VirtualServices", Some(Kind::VirtualService)),
        ("virtualservice.networking.istio.io", Some(Kind::VirtualService)),
        ("gateways", Some(Kind::Gateway)),
        ("gateway.gateway.networking.k8s.io", Some(Kind::KubernetesGateway)),
        ("gtw", Some(Kind::KubernetesGateway)),
        ("svc", Some(Kind::Service)),
        ("svc.networking.istio.io", None),
        ("pod", None),
        ("", None),
    ] {
        assert_eq!(Kind::from_word(word), expected, "{word}");
    }
    for kind in Kind::all() {
        assert_eq!(Kind::from_plural(kind.group(), kind.plural()), Some(*kind));
        assert_eq!(Kind::from_object(&kind.api_version(), kind.kind()), Some(*kind));
        let word = format!("{}.{}", kind.singular(), kind.group());
        assert_eq!(Kind::from_word(word.trim_end_matches('.')), Some(*kind));
    }
}
