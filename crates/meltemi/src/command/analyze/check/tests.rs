use meltemi_api::parse;
use meltemi_api::{Options, Source};

use super::*;
use crate::rejected::Rejected;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: shop-1, labels: {version: v9}}
spec: {address: 127.0.0.1, labels: {app: shop, version: v1}}
---
";

fn mesh(text: &str) -> Mesh {
    let source = Source { file: String::new(), text: SERVICE.to_owned() + text };
    let mut mesh = Mesh::default();
    for object in parse(&[source], &Options::default()).unwrap().objects {
        mesh.add(object.kind(), object.value);
    }
    mesh
}

fn told(mesh: &Mesh) -> Vec<String> {
    check(mesh).iter().map(ToString::to_string).collect()
}

/// A virtual service and more of its metadata, then its spec.
fn routes(name: &str, created: u32, spec: &str) -> String {
    format!(
        "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: {name}, creationTimestamp: '2026-01-0{created}T00:00:00Z'}}\nspec: {spec}\n"
    )
}

fn rule(spec: &str) -> String {
    format!(
        "\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {spec}\n"
    )
}

#[test]
fn what_fits_is_not_told() {
    let subsets = rule("{host: shop, subsets: [{name: v1, labels: {version: v1}}, {name: all}]}");
    let to = "{hosts: [shop], http: [{route: [{destination: {host: shop, subset: v1}}]}]}";
    assert_eq!(told(&mesh(&(subsets + &routes("a", 1, to)))), [""; 0]);
}

#[test]
fn hosts_subsets_and_gateways_that_are_nowhere_are_errors() {
    let to = "{hosts: [shop], gateways: [front], http: [{route: [
        {destination: {host: shop, subset: v2}, weight: 1}, {destination: {host: gone}, weight: 1}]}]}";
    let expected = [
        "error: VirtualService default/a: spec.gateways[0]: there is no Gateway `front` in namespace `default`",
        "error: VirtualService default/a: spec.http[0].route[0].destination.subset: there is no destination rule with subset `v2` of `shop`",
        "error: VirtualService default/a: spec.http[0].route[1].destination.host: there is no service `gone` in namespace `default`",
    ]
    .map(|line| format!("{line} [ReferencedResourceNotFound]"));
    assert_eq!(told(&mesh(&routes("a", 1, to))), expected);
    let found = told(&mesh(&rule("{host: gone}")));
    let expected = "warning: DestinationRule default/r: spec.host: there is no service `gone` in namespace `default` [ReferencedResourceNotFound]";
    assert_eq!(found, [expected]);
}

#[test]
fn a_port_that_a_host_has_not_is_an_error() {
    for (destination, expected) in [
        ("{host: shop, port: {number: 80}}", None),
        ("{host: shop, port: {number: 81}}", Some("there is no port 81 of `shop`")),
        // Of a host that is nowhere no more is said.
        (
            "{host: gone, port: {number: 81}}",
            Some("there is no service `gone` in namespace `default`"),
        ),
    ] {
        let to = format!("{{hosts: [shop], http: [{{route: [{{destination: {destination}}}]}}]}}");
        let found = check(&mesh(&routes("a", 1, &to)));
        let messages: Vec<_> = found.iter().map(|it| &*it.message).collect();
        assert_eq!(messages, expected.into_iter().collect::<Vec<_>>(), "{destination}");
    }
}

#[test]
fn what_a_merge_of_rules_leaves_out_is_told() {
    let named = |name: &str, created: u32, spec: &str| {
        let metadata =
            format!("{{name: {name}, creationTimestamp: '2026-01-0{created}T00:00:00Z'}}");
        rule(spec).replace("{name: r}", &metadata)
    };
    let subsets = "subsets: [{name: v1, labels: {version: v1}}]";
    let old = named("old", 1, &format!("{{host: shop, trafficPolicy: {{}}, {subsets}}}"));
    for (spec, expected) in [
        (
            format!("{{host: shop.default.svc.cluster.local, trafficPolicy: {{}}, {subsets}}}"),
            &["spec.subsets[0]", "spec.trafficPolicy"][..],
        ),
        ("{host: shop, subsets: [{name: v2, labels: {version: v1}}]}".into(), &[]),
        ("{host: shop, trafficPolicy: {}, workloadSelector: {matchLabels: {app: a}}}".into(), &[]),
        ("{host: shop, trafficPolicy: {}, exportTo: [a]}".into(), &[]),
    ] {
        let found = check(&mesh(&(old.clone() + &named("young", 2, &spec))));
        let hidden = found.iter().filter(|it| it.code == Code::DestinationRuleIsHidden);
        let paths: Vec<_> = hidden.map(|it| (&*it.name, &*it.path)).collect();
        let expected: Vec<_> = expected.iter().map(|path| ("young", *path)).collect();
        assert_eq!(paths, expected, "{spec}");
    }
}

#[test]
fn subsets_need_endpoints() {
    for (spec, expected) in [
        ("{host: shop, subsets: [{name: a, labels: {version: v1}}]}", None),
        // The labels of the spec go before those of the metadata.
        ("{host: shop, subsets: [{name: a, labels: {version: v9}}]}", Some("version=v9")),
        ("{host: '*.local', subsets: [{name: a, labels: {version: v9}}]}", None),
        ("{host: out.example.com, subsets: [{name: a, labels: {zone: b}}]}", None),
        ("{host: out.example.com, subsets: [{name: a, labels: {zone: c}}]}", Some("zone=c")),
    ] {
        let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: out}\n\
            spec: {hosts: [out.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], \
            endpoints: [{address: 127.0.0.2, labels: {zone: b}}]}\n";
        let found = check(&mesh(&(entry.to_owned() + &rule(spec))));
        let codes: Vec<_> = found.iter().map(|it| (it.code, &*it.path)).collect();
        match expected {
            None => assert_eq!(codes, []),
            Some(labels) => {
                assert_eq!(codes, [(Code::SubsetWithoutEndpoints, "spec.subsets[0]")]);
                assert!(found[0].message.contains(labels), "{found:?}");
            }
        }
    }
}

#[test]
fn the_younger_of_two_for_one_host_is_told() {
    let to = "http: [{route: [{destination: {host: shop}}]}]";
    let young = |more: &str| routes("young", 2, &format!("{{{more}{to}}}"));
    let old = |more: &str| routes("old", 1, &format!("{{{more}{to}}}"));
    for (one, other, expected) in [
        (
            young("hosts: [x.example.com, shop], "),
            old("hosts: [shop.default.svc.cluster.local], "),
            1,
        ),
        (young("hosts: [shop], "), old("hosts: ['*.default.svc.cluster.local'], "), 0),
        (young("hosts: [shop], exportTo: [a], "), old("hosts: [shop], exportTo: ['.'], "), 0),
        (young("hosts: [shop], exportTo: [default], "), old("hosts: [shop], exportTo: ['.'], "), 1),
        (young("hosts: [shop], exportTo: [a], "), old("hosts: [shop], "), 1),
    ] {
        let found = check(&mesh(&(one.clone() + &other)));
        let of_overlap =
            found.iter().filter(|it| it.code == Code::ConflictingMeshGatewayVirtualServiceHosts);
        let named: Vec<_> = of_overlap.map(|it| &*it.name).collect();
        assert_eq!(named, vec!["young"; expected], "{one}{other}: {found:?}");
    }
}

#[test]
fn what_the_control_plane_says_is_not_said_twice() {
    let to = "{hosts: [shop], http: [{route: [{destination: {host: shop}}]}]}";
    let mut mesh = mesh(&(routes("young", 2, to) + &routes("old", 1, to)));
    let [kind, namespace, name] = ["VirtualService", "default", "young"].map(str::to_owned);
    let reason = "host shop.default.svc.cluster.local is VirtualService default/old's".to_owned();
    mesh.rejected.push(Rejected { kind, namespace, name, reason });
    let codes: Vec<_> = check(&mesh).iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::SetAside]);
}

#[test]
fn what_changes_nothing_is_told() {
    let filter = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f}\nspec: {}\n";
    let narrowed = "{hosts: [shop], tcp: [{match: [{sourceSubnet: 10.0.0.0/8, port: 80}], route: [{destination: {host: shop}}]}]}";
    let found = told(&mesh(&(filter.to_owned() + &routes("a", 1, narrowed))));
    let expected = [
        "EnvoyFilter default/f: ",
        "VirtualService default/a: spec.tcp[0].match[0].sourceSubnet: ",
    ];
    let lines = expected.map(|it| format!("warning: {it}{} [WithoutEffect]", effect::MESSAGE));
    assert_eq!(found, lines);
}

#[test]
fn what_is_set_aside_is_an_error_and_comes_first() {
    let mut mesh = mesh(&rule("{host: gone}"));
    mesh.add(Kind::Service, serde_json::json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"portz": []}}));
    let [kind, namespace, name, reason] =
        ["Service", "shop", "web", "a\u{1b}[2J"].map(str::to_owned);
    mesh.rejected.push(Rejected { kind, namespace, name, reason });
    let found = told(&mesh);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("error: Service default/x: spec.portz: unknown field"),
        "{found:?}"
    );
    assert_eq!(found[1], "error: Service shop/web: a [2J [SetAside]");
    assert!(check(&mesh)[1].is_about("shop") && !check(&mesh)[1].is_about("default"));
}

#[test]
fn a_peer_authentication_that_an_older_one_hides_is_told() {
    let policy = |name: &str, namespace: &str, day: u32, app: Option<&str>| {
        let selector =
            app.map(|it| format!("selector: {{matchLabels: {{{it}}}}}, ")).unwrap_or_default();
        format!(
            "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, \
             namespace: {namespace}, creationTimestamp: '2026-01-0{day}T00:00:00Z'}}\n\
             spec: {{{selector}mtls: {{mode: STRICT}}}}\n"
        )
    };
    let root = meltemi_names::ROOT_NAMESPACE;
    for (one, other, hidden) in [
        (policy("old", root, 1, None), policy("young", root, 2, None), Some("young")),
        (policy("old", "a", 1, None), policy("young", "a", 2, None), Some("young")),
        (policy("young", "a", 2, None), policy("old", "a", 1, None), Some("young")),
        (policy("old", "a", 1, None), policy("young", "b", 2, None), None),
        (policy("old", root, 1, None), policy("young", "a", 2, None), None),
        (policy("old", "a", 1, None), policy("young", "a", 2, Some("x: y")), None),
        (policy("old", "a", 1, Some("x: y")), policy("young", "a", 2, Some("x: y")), Some("young")),
        (
            policy("old", "a", 1, Some("x: y")),
            policy("young", "a", 2, Some("x: y, v: w")),
            Some("young"),
        ),
        // Workloads without the second label are the younger one's.
        (policy("old", "a", 1, Some("x: y, v: w")), policy("young", "a", 2, Some("x: y")), None),
        (policy("old", "a", 1, None), policy("rooted", root, 2, Some("x: y")), Some("rooted")),
    ] {
        let found = check(&mesh(&(one.clone() + &other)));
        let hides = found.iter().filter(|it| it.code == Code::PeerAuthenticationIsHidden);
        let named: Vec<_> = hides.map(|it| &*it.name).collect();
        assert_eq!(named, hidden.into_iter().collect::<Vec<_>>(), "{one}{other}: {found:?}");
    }
}

#[test]
fn a_destination_rule_that_has_calls_refused_is_told() {
    let workload = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: shop-2}
spec: {address: 127.0.0.1, serviceAccount: shop, labels: {app: shop, version: v2, security.istio.io/tlsMode: istio}}";
    let asks = |mode: &str| {
        format!(
            "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p}}\n\
             spec: {{mtls: {{mode: {mode}}}}}\n"
        )
    };
    let whole = |mode: &str| format!("{{host: shop, trafficPolicy: {{tls: {{mode: {mode}}}}}}}");
    let at_port = "{host: shop, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}";
    let other_port = "{host: shop, trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}}]}}";
    let subset = |version: &str| {
        format!(
            "{{host: shop, subsets: [{{name: a, labels: {{version: {version}}}, trafficPolicy: {{tls: {{mode: DISABLE}}}}}}]}}"
        )
    };
    let of_whole = "spec.trafficPolicy.tls.mode";
    let of_port = "spec.trafficPolicy.portLevelSettings[0].tls.mode";
    let of_subset = "spec.subsets[0].trafficPolicy.tls.mode";
    for (asked, said, expected) in [
        (String::new(), whole("DISABLE"), Some(of_whole)),
        (String::new(), whole("SIMPLE"), Some(of_whole)),
        (String::new(), whole("ISTIO_MUTUAL"), None),
        (asks("STRICT"), at_port.to_owned(), Some(of_port)),
        (asks("STRICT"), other_port.to_owned(), None),
        (asks("STRICT"), subset("v2"), Some(of_subset)),
        // What has no sidecar refuses nothing.
        (asks("STRICT"), subset("v1"), None),
        (asks("PERMISSIVE"), whole("DISABLE"), None),
        (asks("PERMISSIVE"), whole("ISTIO_MUTUAL"), None),
        (asks("DISABLE"), whole("DISABLE"), None),
        (asks("DISABLE"), whole("ISTIO_MUTUAL"), Some(of_whole)),
    ] {
        let found = check(&mesh(&(workload.to_owned() + &asked + &rule(&said))));
        let told = found.iter().filter(|it| it.code == Code::MTLSPolicyConflict);
        let told: Vec<_> =
            told.map(|it| (&*it.path, it.message.contains("default/shop-2"))).collect();
        let expected: Vec<_> = expected.map(|path| (path, true)).into_iter().collect();
        assert_eq!(told, expected, "{asked} {said}: {found:?}");
    }
}

#[test]
fn listeners_of_sidecars_that_no_service_has_the_port_of_are_told() {
    let sidecar = |spec: &str| {
        let head = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}";
        told(&mesh(&format!("\n---\n{head}\nspec: {spec}\n")))
    };
    let listener = |port: &str, hosts: &str| {
        format!("{{egress: [{{port: {port}, bind: 127.0.0.1, hosts: [{hosts}]}}]}}")
    };
    let http = "{number: 80, protocol: HTTP}";
    for hosts in ["'./*'", "'*/*'", "'default/shop.default.svc.cluster.local'"] {
        assert_eq!(sidecar(&listener(http, hosts)), [""; 0], "{hosts}");
    }
    let nothing = "this listener carries nothing [ListenerWithoutService]";
    for (port, hosts, number) in
        [(http, "'other/*'", 80), ("{number: 81, protocol: HTTP}", "'./*'", 81)]
    {
        let expected = format!(
            "warning: Sidecar default/s: spec.egress[0].port: no service among its hosts has port {number}: {nothing}"
        );
        assert_eq!(sidecar(&listener(port, hosts)), [expected]);
    }
    let ingress = |port: &str| sidecar(&format!("{{ingress: [{{port: {port}}}]}}"));
    assert_eq!(ingress(http), [""; 0]);
    assert_eq!(ingress("{number: 9, protocol: HTTP, name: http}"), [""; 0], "by its name");
    assert_eq!(
        ingress("{number: 9, protocol: HTTP, name: other}"),
        [
            "warning: Sidecar default/s: spec.ingress[0].port: no service leads to port 9 of a workload: nothing comes to this listener [ListenerWithoutService]"
        ]
    );
}

#[test]
fn selectors_that_no_workload_has_the_labels_of_are_told() {
    let networking = "networking.istio.io/v1";
    let security = "security.istio.io/v1";
    let root = meltemi_names::ROOT_NAMESPACE;
    for (group, kind, namespace, spec, expected) in [
        (
            security,
            "AuthorizationPolicy",
            "default",
            "{selector: {matchLabels: {LABEL}}}",
            "spec.selector",
        ),
        (
            security,
            "AuthorizationPolicy",
            root,
            "{selector: {matchLabels: {LABEL}}}",
            "spec.selector",
        ),
        (
            security,
            "RequestAuthentication",
            "default",
            "{selector: {matchLabels: {LABEL}}}",
            "spec.selector",
        ),
        (
            security,
            "PeerAuthentication",
            "default",
            "{selector: {matchLabels: {LABEL}}}",
            "spec.selector",
        ),
        (
            networking,
            "Sidecar",
            "default",
            "{workloadSelector: {labels: {LABEL}}}",
            "spec.workloadSelector",
        ),
        (
            networking,
            "DestinationRule",
            "default",
            "{host: shop, workloadSelector: {matchLabels: {LABEL}}}",
            "spec.workloadSelector",
        ),
        (
            networking,
            "ServiceEntry",
            "default",
            "{hosts: [a.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], \
             workloadSelector: {labels: {LABEL}}}",
            "spec.workloadSelector",
        ),
    ] {
        let found = |label: &str| {
            let spec = spec.replace("LABEL", label);
            let text = format!(
                "\n---\napiVersion: {group}\nkind: {kind}\nmetadata: {{name: x, namespace: {namespace}}}\nspec: {spec}\n"
            );
            let found = check(&mesh(&text)).into_iter();
            found.map(|it| (it.code, it.path, it.message)).collect::<Vec<_>>()
        };
        assert_eq!(found("app: shop"), [], "{kind}");
        let told = found("app: shoop");
        assert_eq!(told.len(), 1, "{kind}: {told:?}");
        let (code, path, message) = &told[0];
        assert_eq!((*code, &**path), (Code::NoMatchingWorkloadsFound, expected), "{kind}");
        assert!(message.starts_with("no workload has the labels app=shoop: it "), "{message}");
    }
}

#[test]
fn a_sidecar_that_an_older_one_goes_before_is_told() {
    let sidecar = |name: &str, namespace: &str, day: u32, labels: Option<&str>| {
        let selector = labels.map(|it| format!("workloadSelector: {{labels: {{{it}}}}}, "));
        format!(
            "\n---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: {name}, namespace: {namespace}, \
             creationTimestamp: '2026-01-0{day}T00:00:00Z'}}\nspec: {{{}egress: [{{hosts: ['*/*']}}]}}\n",
            selector.unwrap_or_default()
        )
    };
    let (whole, part) =
        (Code::MultipleSidecarsWithoutWorkloadSelectors, Code::ConflictingSidecarWorkloadSelectors);
    for (young, old, expected) in [
        ((None, "default"), (None, "default"), Some(whole)),
        ((None, "default"), (None, "other"), None),
        ((Some("app: shop"), "default"), (None, "default"), None),
        ((None, "default"), (Some("app: shop"), "default"), None),
        ((Some("app: shop"), "default"), (Some("version: v1"), "default"), Some(part)),
        ((Some("app: shop"), "default"), (Some("app: cart"), "default"), None),
    ] {
        let text = sidecar("young", young.1, 2, young.0) + &sidecar("old", old.1, 1, old.0);
        let found = check(&mesh(&text)).into_iter().filter(|it| [whole, part].contains(&it.code));
        let told: Vec<_> = found.map(|it| (it.name, it.code)).collect();
        let expected: Vec<_> = expected.map(|it| ("young".to_owned(), it)).into_iter().collect();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn ports_of_rules_and_routes_that_a_service_has_not_are_told() {
    for (port, expected) in [(80, 0), (81, 1)] {
        let settings = format!("portLevelSettings: [{{port: {{number: {port}}}}}]");
        let route = format!(
            "\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h}}\nspec:\n  \
             parentRefs: [{{group: '', kind: Service, name: shop}}]\n  rules: [{{backendRefs: [{{name: shop, port: {port}}}]}}]\n"
        );
        for text in [
            rule(&format!("{{host: shop, trafficPolicy: {{{settings}}}}}")),
            rule(&format!("{{host: shop, subsets: [{{name: a, trafficPolicy: {{{settings}}}}}]}}")),
            route,
        ] {
            let found = told(&mesh(&text));
            assert_eq!(found.len(), expected, "{text}: {found:?}");
            assert!(
                found.iter().all(|it| it.contains("there is no port 81 of `shop`")),
                "{found:?}"
            );
        }
    }
}
