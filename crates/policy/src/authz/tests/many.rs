//! Many rules that demand little are judged together as one by one.

use proptest::prelude::*;
use rule::{Action, Condition, Operation, Rule, Source};

use super::naive::{asks_request, calls, conditions, is_match, operations, sources};
use super::*;

/// The rule that has to be named: the first that a connection decides, or else the first.
fn first(policies: &[AuthorizationPolicy], call: &Call, is_http: bool) -> Option<RuleId> {
    let ids = policies.iter().enumerate().flat_map(|(policy, it)| {
        let rules = it.rules.iter().enumerate();
        rules.map(move |(number, rule)| (policy, number, it, rule))
    });
    let matching = || ids.clone().filter(|(.., it, rule)| is_match(it, rule, call, is_http));
    let found = matching().find(|(.., rule)| !asks_request(rule)).or_else(|| matching().next());
    found.map(|(policy, rule, ..)| RuleId { policy: policy as u32, rule: rule as u32 })
}

/// How much of what a rule demands is left out; what it forbids stays.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Left {
    Nothing,
    Common,
    All,
}

fn left() -> impl Strategy<Value = Left> {
    prop_oneof![6 => Just(Left::Nothing), 3 => Just(Left::Common), 1 => Just(Left::All)]
}

fn thinned_source(it: Source, left: Left) -> Source {
    let Source {
        not_principals,
        not_namespaces,
        not_service_accounts,
        not_ip_blocks,
        not_request_principals,
        ..
    } = it.clone();
    match left {
        Left::All => it,
        Left::Common | Left::Nothing => Source {
            not_principals,
            not_namespaces,
            not_service_accounts,
            not_ip_blocks,
            not_request_principals,
            request_principals: if left == Left::Common { vec!["*".into()] } else { Vec::new() },
            ..Source::default()
        },
    }
}

fn thinned_operation(it: Operation, left: Left) -> Operation {
    let Operation { not_ports, not_methods, not_hosts, not_paths, .. } = it.clone();
    match left {
        Left::All => it,
        Left::Common | Left::Nothing => Operation {
            not_ports,
            not_methods,
            not_hosts,
            not_paths,
            methods: if left == Left::Common {
                vec!["GET".into(), "P*".into()]
            } else {
                Vec::new()
            },
            ..Operation::default()
        },
    }
}

fn thinned_condition(it: Condition, left: Left) -> Condition {
    match (left, it.not_values.is_empty()) {
        (Left::All, _) | (_, true) => it,
        _ => Condition { values: Vec::new(), ..it },
    }
}

/// Rules of negations for the most part.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let source = (sources(), left()).prop_map(|(it, left)| thinned_source(it, left)).boxed();
    let operation =
        (operations(), left()).prop_map(|(it, left)| thinned_operation(it, left)).boxed();
    let condition = (conditions(), left()).prop_map(|(it, left)| thinned_condition(it, left));
    let rule = (
        prop_oneof![4 => prop::collection::vec(source.clone(), 0..3), 1 => prop::collection::vec(source, 3..6)],
        prop_oneof![4 => prop::collection::vec(operation.clone(), 0..3), 1 => prop::collection::vec(operation, 3..6)],
        prop::collection::vec(condition, 0..2),
    );
    let rule = rule.prop_map(|(from, to, when)| Rule { from, to, when });
    prop::collection::vec(rule, 1..40)
}

/// Rules that do not match, of connections and of requests, as many as are sieved.
fn others(call: &Call) -> Vec<Rule> {
    let not_ports = vec![call.port.to_string()];
    let other = |methods: &[&str]| {
        let methods = methods.iter().copied().map(str::to_owned).collect();
        let to = vec![Operation { not_ports: not_ports.clone(), methods, ..Operation::default() }];
        Rule { to, ..Rule::default() }
    };
    (0..40).map(|number| other(if number % 2 == 0 { &[] } else { &["*T"] })).collect()
}

/// Why it is refused has to be by this rule, the first that matches.
fn is_by(denial: Option<Denial>, action: Action, rule: Option<RuleId>) -> bool {
    denial
        == match action {
            Action::Allow => rule.is_none().then_some(Denial::NotAllowed),
            Action::Custom => rule.map(Denial::Custom),
            _ => rule.map(Denial::Rule),
        }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_first_of_many_rules_that_matches_is_named(
        rules in rules(), call in calls(), is_http in any::<bool>(),
        action in prop::sample::select(&[Action::Allow, Action::Deny, Action::Custom][..]),
    ) {
        let policy = |rules: &[Rule]| AuthorizationPolicy {
            name: "p".into(),
            namespace: "a".into(),
            action,
            rules: others(&call).into_iter().chain(rules.iter().cloned()).collect(),
            ..AuthorizationPolicy::default()
        };
        let all = [policy(&rules)];
        let denial = call.judge(&all, is_http).denial;
        prop_assert!(is_by(denial, action, first(&all, &call, is_http)), "{:?}", denial);
        // And each by itself, however many match before it.
        for rule in &rules {
            let one = [policy(std::slice::from_ref(rule))];
            let denial = call.judge(&one, is_http).denial;
            prop_assert!(is_by(denial, action, first(&one, &call, is_http)), "{:?}", rule);
        }
    }
}

/// Each rule forbids a value that is there, and one by itself that is not; then one of them forbids nothing that is there.
#[test]
fn one_of_many_rules_that_forbid_is_found() {
    let claims =
        json!({"iss": "iss", "principal": "iss/me", "aud": ["a"], "azp": "app", "group": ["g"]});
    let call = Call {
        host: "Shop.X:80".into(),
        path: "/a/b;v=1/c?q".into(),
        headers: vec![("X-Team".into(), "red".into()), ("x-team".into(), "blue".into())],
        token: Some(Claims(claims)),
        ..Call::default()
    };
    let to = |field: &str, texts: &[&str]| json!({"to": [{field: texts}]});
    let from = |field: &str, texts: &[&str]| json!({"from": [{field: texts}]});
    let when = |key: &str, texts: &[&str]| json!({"when": [{"key": key, "notValues": texts}]});
    for action in ["DENY", "ALLOW", "CUSTOM"] {
        for (make, field, there, other) in [
            (&to as &dyn Fn(&str, &[&str]) -> Value, "notPaths", "/a/*", "/b"),
            (&to, "notPaths", "*/c", "*/d"),
            (&to, "notPaths", "*", "/{*}"),
            (&to, "notPaths", "/a/{*}/c", "/a/{*}/d"),
            (&to, "notPaths", "/{**}/c", "/{**}/d"),
            (&to, "notHosts", "shop.x:80", "shop.y"),
            (&to, "notHosts", "SHOP.*", "*.y"),
            (&to, "notMethods", "GET", "PUT"),
            (&to, "notPorts", "8080", "8081"),
            (&from, "notPrincipals", "*/sa/sleep", "*/sa/awake"),
            (&from, "notNamespaces", "default", "other"),
            (&from, "notServiceAccounts", "sleep", "awake"),
            (&from, "notServiceAccounts", "default/*", "other/*"),
            (&from, "notIpBlocks", "10.1.0.0/16", "10.2.0.0/16"),
            (&from, "notRemoteIpBlocks", "10.1.2.3", "10.1.2.4"),
            (&from, "notRequestPrincipals", "iss/*", "is/*"),
            (&from, "notRequestPrincipals", "*/me", "*/you"),
            (&from, "notRequestPrincipals", "*", "iss/you"),
            (&when, "request.headers[x-team]", "red,blue", "red,green"),
            (&when, "request.headers[X-Team]", "*blue", "*green"),
            (&when, "request.headers[x-team]", "*", "green"),
            (&when, "request.auth.claims[group]", "g", "h"),
            (&when, "request.auth.audiences", "a", "b"),
            (&when, "request.auth.presenter", "a*", "b*"),
            (&when, "connection.sni", "outbound_*", "inbound_*"),
            (&when, "destination.ip", "10.9.0.0/16", "10.8.0.0/16"),
        ] {
            let rule = |number: usize| make(field, &[there, other, &format!("{number}")]);
            let is_block = field.contains("Ip") || field.ends_with(".ip");
            let rule = |number: usize| match is_block || field == "notPorts" {
                true => make(field, &[there, other]),
                false => rule(number),
            };
            let mut rules: Vec<Value> = (0..200).map(rule).collect();
            let judge = |rules: &[Value]| call.judge(&[policy(action, json!(rules))], true).denial;
            let none = if action == "ALLOW" { Some(Denial::NotAllowed) } else { None };
            assert_eq!(judge(&rules), none, "{action} {field} {there}");
            rules[150] = make(field, &[other]);
            rules[170] = rules[150].clone();
            let id = RuleId { policy: 0, rule: 150 };
            let found = match action {
                "ALLOW" => None,
                "CUSTOM" => Some(Denial::Custom(id)),
                _ => Some(Denial::Rule(id)),
            };
            assert_eq!(judge(&rules), found, "{action} {field} {other}");
        }
    }
}

/// Names of headers have no case; those of claims lead into objects.
#[test]
fn names_of_many_headers_and_claims_are_found() {
    let key = |key: String, value: &str| json!({"when": [{"key": key, "values": [value]}]});
    let header = |number: usize| key(format!("request.headers[X-Own-{number}]"), "*");
    let claim = |number: usize| key(format!("request.auth.claims[own{number}]"), "*");
    let nested = |number: usize| key(format!("request.auth.claims[a][own{number}]"), "yes");
    let pseudo = |_: usize| key("request.headers[:method]".into(), "GET");
    let token = |claims: Value| Some(Claims(claims));
    let with = |name: &str| Call { headers: vec![(name.into(), "1".into())], ..Call::default() };
    let bears = |claims: Value| Call { token: token(claims), ..Call::default() };
    for (rule, others, it) in [
        (&header as &dyn Fn(usize) -> Value, with("x-own"), with("x-OWN-77")),
        (&claim, bears(json!({"iss": "i", "own": "1"})), bears(json!({"iss": "i", "own77": "1"}))),
        (
            &nested,
            bears(json!({"iss": "i", "own77": "yes", "a": {"own77": "no"}})),
            bears(json!({"iss": "i", "a": {"own77": "yes"}})),
        ),
    ] {
        let mut rules: Vec<Value> = (0..200).map(rule).collect();
        let judge =
            |rules: &[Value], call: &Call| call.judge(&[policy("DENY", json!(rules))], true);
        assert_eq!(judge(&rules, &others).denial, None, "{}", rules[0]);
        let id = |rule| Some(Denial::Rule(RuleId { policy: 0, rule }));
        assert_eq!(judge(&rules, &it).denial, id(77), "{}", rules[0]);
        rules.push(pseudo(0));
        assert_eq!(judge(&rules, &others).denial, id(200));
    }
}
