//! The compiled policies decide as an evaluator does that goes through the words of each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::str::FromStr;

use proptest::prelude::*;
use rule::{Action, Condition, Operation, Rule, Source};

use super::*;

/// Whether a request (`None`: a connection of bytes) passes, read from the policies from first to last.
fn passes(policies: &[AuthorizationPolicy], call: &Call, is_http: bool) -> bool {
    let any = |action: Action| {
        let of = policies.iter().filter(move |it| it.action == action && !it.dry_run);
        let mut rules = of.flat_map(|it| it.rules.iter().map(move |rule| (it, rule)));
        rules.any(|(policy, rule)| is_match(policy, rule, call, is_http))
    };
    let has_allow = policies.iter().any(|it| it.action == Action::Allow && !it.dry_run);
    !any(Action::Custom) && !any(Action::Deny) && (!has_allow || any(Action::Allow))
}

/// Whether a rule asks what a connection of bytes has not.
pub(super) fn asks_request(rule: &Rule) -> bool {
    let of_source =
        |it: &Source| !it.request_principals.is_empty() || !it.not_request_principals.is_empty();
    let of_operation = |it: &Operation| {
        let lists =
            [&it.methods, &it.not_methods, &it.hosts, &it.not_hosts, &it.paths, &it.not_paths];
        lists.iter().any(|list| !list.is_empty())
    };
    let of_condition = |it: &Condition| {
        it.key.starts_with("request.") && !(it.values.is_empty() && it.not_values.is_empty())
    };
    rule.from.iter().any(of_source)
        || rule.to.iter().any(of_operation)
        || rule.when.iter().any(of_condition)
}

/// What a field says of the call: it holds, it does not, or it asks for a request where there is none.
type Said = Option<bool>;

pub(super) fn is_match(
    policy: &AuthorizationPolicy,
    rule: &Rule,
    call: &Call,
    is_http: bool,
) -> bool {
    let refuses = policy.action != Action::Allow;
    let mut is_unanswerable = false;
    let mut all = |said: Vec<Said>| {
        is_unanswerable |= said.contains(&None);
        said.into_iter().all(|it| it.unwrap_or(refuses))
    };
    let sources: Vec<bool> = rule
        .from
        .iter()
        .map(|it| all(source(it, &policy.namespace, call, is_http, refuses)))
        .collect();
    let operations: Vec<bool> =
        rule.to.iter().map(|it| all(operation(it, call, is_http, refuses))).collect();
    let conditions = all(rule
        .when
        .iter()
        .flat_map(|it| condition(it, &policy.namespace, call, is_http, refuses))
        .collect());
    let one = |of: &[bool]| of.is_empty() || of.contains(&true);
    (refuses || !is_unanswerable) && one(&sources) && one(&operations) && conditions
}

/// A list that demands and one that forbids, by what says whether a value matches (generously or not).
fn both(
    is_there: bool,
    refuses: bool,
    demanded: &[String],
    forbidden: &[String],
    matches: impl Fn(&str, bool) -> bool,
) -> Vec<Said> {
    let mut said = Vec::new();
    if !demanded.is_empty() {
        said.push(is_there.then(|| demanded.iter().any(|it| matches(it, refuses))));
    }
    if !forbidden.is_empty() {
        said.push(is_there.then(|| !forbidden.iter().any(|it| matches(it, !refuses))));
    }
    said
}

fn source(it: &Source, own: &str, call: &Call, is_http: bool, refuses: bool) -> Vec<Said> {
    let (namespace, account) = call.peer.clone().unzip();
    let principal = namespace.as_ref().zip(account.as_ref());
    let principal = principal.map(|(ns, sa)| format!("cluster.local/ns/{ns}/sa/{sa}"));
    let said =
        |a: &[String], b: &[String], f: &dyn Fn(&str, bool) -> bool| both(true, refuses, a, b, f);
    let text = |pattern: &str, of: &Option<String>| of.as_ref().is_some_and(|it| glob(pattern, it));
    let full = |it: &str| if it.contains('/') { it.to_owned() } else { format!("{own}/{it}") };
    let pair = namespace.as_ref().zip(account.as_ref()).map(|(ns, sa)| format!("{ns}/{sa}"));
    let mut all = said(&it.principals, &it.not_principals, &|p, _| text(p, &principal));
    all.extend(said(&it.namespaces, &it.not_namespaces, &|p, _| text(p, &namespace)));
    all.extend(said(&it.service_accounts, &it.not_service_accounts, &|p, _| text(&full(p), &pair)));
    all.extend(said(&it.ip_blocks, &it.not_ip_blocks, &|p, _| is_in(p, call.source)));
    all.extend(both(
        is_http,
        refuses,
        &it.request_principals,
        &it.not_request_principals,
        |p, _| claims(call, "principal").iter().any(|it| glob(p, it)),
    ));
    all
}

/// The path as a servlet container reads it.
fn without_parameters(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let all: Vec<&str> = path.split('/').skip(1).map(|it| it.split(';').next().unwrap()).collect();
    for part in &all {
        match *part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let is_open = matches!(*all.last().unwrap(), "" | "." | "..") && !parts.is_empty();
    format!("/{}{}", parts.join("/"), if is_open { "/" } else { "" })
}

fn operation(it: &Operation, call: &Call, is_http: bool, refuses: bool) -> Vec<Said> {
    let path = call.path.split('?').next().unwrap();
    let bare = if path.contains(';') { without_parameters(path) } else { path.to_owned() };
    let mut all = both(true, refuses, &it.ports, &it.not_ports, |p, _| p == call.port.to_string());
    all.extend(both(is_http, refuses, &it.methods, &it.not_methods, |p, _| glob(p, &call.method)));
    all.extend(both(is_http, refuses, &it.hosts, &it.not_hosts, |p, generous| {
        let (p, host) = (p.to_lowercase(), call.host.to_lowercase());
        let name = host.split(':').next().unwrap();
        let ways = [
            host.clone(),
            name.to_owned(),
            name.trim_end_matches('.').to_owned(),
            host.replace(".:", ":"),
        ];
        ways.iter().take(if generous { 4 } else { 1 }).any(|it| glob(&p, it))
    }));
    all.extend(both(is_http, refuses, &it.paths, &it.not_paths, |p, generous| {
        let one = |path: &str| if p.contains("{*") { template(p, path) } else { glob(p, path) };
        one(path) || (generous && one(&bare))
    }));
    all
}

/// The texts of a claim; none without a token.
fn claims(call: &Call, name: &str) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => other.as_str().map(str::to_owned).into_iter().collect(),
    };
    call.token.as_ref().map(|token| texts(&token.0[name])).unwrap_or_default()
}

fn condition(it: &Condition, own: &str, call: &Call, is_http: bool, refuses: bool) -> Vec<Said> {
    let (values, not_values) = (it.values.clone(), it.not_values.clone());
    match it.key.as_str() {
        "source.namespace" => {
            let of = Source { namespaces: values, not_namespaces: not_values, ..Source::default() };
            source(&of, own, call, is_http, refuses)
        }
        "source.ip" | "remote.ip" => {
            both(true, refuses, &values, &not_values, |p, _| is_in(p, call.source))
        }
        "destination.ip" => {
            let own = IpAddr::from([10, 9, 9, 9]);
            both(true, refuses, &values, &not_values, |p, _| is_in(p, own))
        }
        "connection.sni" => {
            let sni = "outbound_.80_._.web.default";
            both(true, refuses, &values, &not_values, |p, _| glob(p, sni))
        }
        "destination.port" => {
            let of = Operation { ports: values, not_ports: not_values, ..Operation::default() };
            operation(&of, call, is_http, refuses)
        }
        key if key.starts_with("request.auth.") => {
            let name = match key {
                "request.auth.principal" => "principal",
                "request.auth.audiences" => "aud",
                "request.auth.presenter" => "azp",
                _ => "group",
            };
            both(is_http, refuses, &values, &not_values, |p, _| {
                claims(call, name).iter().any(|it| glob(p, it))
            })
        }
        key => {
            let name = key.strip_prefix("request.headers[").unwrap().strip_suffix(']').unwrap();
            let lines: Vec<&str> = call
                .headers
                .iter()
                .filter(|(own, _)| own == name)
                .map(|(_, v)| v.as_str())
                .collect();
            both(is_http, refuses, &values, &not_values, |p, generous| {
                (!lines.is_empty() && glob(p, &lines.join(",")))
                    || (generous && lines.iter().any(|it| glob(p, it)))
            })
        }
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern {
        "*" => true,
        p if p.starts_with('*') => text.ends_with(&p[1..]),
        p if p.ends_with('*') => text.starts_with(&p[..p.len() - 1]),
        p => p == text,
    }
}

thread_local! {
    /// Templates as expressions: to compile one takes longer than all else here.
    static TEMPLATES: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
}

fn template(pattern: &str, path: &str) -> bool {
    TEMPLATES.with_borrow_mut(|known| {
        let expression = known.entry(pattern.to_owned()).or_insert_with(|| {
            let regex = pattern.replace("{**}", "[^<]*").replace("{*}", "[^/<]+");
            regex::Regex::new(&format!("^{regex}$")).unwrap()
        });
        expression.is_match(path)
    })
}

fn is_in(block: &str, ip: IpAddr) -> bool {
    crate::route::Subnet::from_str(block).unwrap().contains(ip)
}

fn texts(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let one = prop::sample::select(of).prop_map(str::to_owned);
    prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(one, 1..3)]
}

const PRINCIPALS: &[&str] =
    &["cluster.local/ns/a/sa/x", "cluster.local/ns/b/sa/y", "*", "cluster.local/ns/a/*", "*/sa/y"];
const TOKENS: &[&str] = &["*", "iss/s", "iss/t", "iss/*", "*/s", "other/s", "is*", "*s", "*ss/t"];
const NAMESPACES: &[&str] = &["a", "b", "c", "*", "a*", "*b"];
const BLOCKS: &[&str] = &["10.1.0.0/16", "10.2.0.1", "10.1.0.0/24", "0.0.0.0/0", "::/0"];
const SNI: &[&str] = &["outbound_*", "*.default", "*.other", "*"];
#[rustfmt::skip]
const PATHS: &[&str] = &[
    "/", "/a", "/a/b", "/a*", "/a/*", "*/b", "*", "/{*}/b", "/a/{**}", "/{**}/b", "/b;x",
    "/a/b*", "*b", "*a", "*a/b", "*;x", "/{*}", "/c/{*}", "/{**}", "/{*}/b/{**}", "/{*}/b/{*}", "/a/{*}/c/b/{**}",
];

pub(super) fn sources() -> impl Strategy<Value = Source> {
    let principals = (texts(PRINCIPALS), texts(PRINCIPALS));
    let namespaces = (texts(NAMESPACES), texts(NAMESPACES));
    let accounts = (texts(&["x", "a/x", "b/y", "*/x", "b/*", "*y"]), texts(&["x", "b/y"]));
    let blocks = (texts(BLOCKS), texts(BLOCKS));
    let tokens = (texts(TOKENS), texts(TOKENS));
    (principals, namespaces, accounts, blocks, tokens).prop_map(|(p, n, s, b, r)| Source {
        principals: p.0,
        not_principals: p.1,
        namespaces: n.0,
        not_namespaces: n.1,
        service_accounts: s.0,
        not_service_accounts: s.1,
        ip_blocks: b.0,
        not_ip_blocks: b.1,
        request_principals: r.0,
        not_request_principals: r.1,
        ..Source::default()
    })
}

pub(super) fn operations() -> impl Strategy<Value = Operation> {
    const HOSTS: &[&str] = &["h.x", "*.x", "h.*", "h.x:80", "*:80", "*X", "*"];
    let methods = (texts(&["GET", "P*", "*T", "*"]), texts(&["GET", "PUT"]));
    (
        texts(&["80", "81"]),
        texts(&["81"]),
        methods,
        (texts(HOSTS), texts(HOSTS)),
        (texts(PATHS), texts(PATHS)),
    )
        .prop_map(|(ports, not_ports, m, h, p)| Operation {
            ports,
            not_ports,
            methods: m.0,
            not_methods: m.1,
            hosts: h.0,
            not_hosts: h.1,
            paths: p.0,
            not_paths: p.1,
        })
}

pub(super) fn conditions() -> impl Strategy<Value = Condition> {
    let key = |key: &'static str, values: &'static [&'static str]| {
        (Just(key.to_owned()), texts(values), texts(values))
    };
    prop_oneof![
        key("source.namespace", NAMESPACES),
        key("destination.port", &["80", "81"]),
        key("source.ip", BLOCKS),
        key("remote.ip", BLOCKS),
        key("destination.ip", &["10.9.0.0/16", "10.1.0.0/16", "10.9.9.9"]),
        key("connection.sni", SNI),
        key("request.headers[q]", &["1", "2", "*", "1*", "1,2", "*2", "*,2", "12*"]),
        key("request.auth.principal", TOKENS),
        key("request.auth.audiences", &["u", "v", "*", "*v", "u*"]),
        key("request.auth.presenter", &["u", "v", "*", "*u"]),
        key("request.auth.claims[group]", &["u", "v", "u*", "*v"]),
    ]
    .prop_map(|(key, values, not_values)| Condition { key, values, not_values })
}

fn policies() -> impl Strategy<Value = Vec<AuthorizationPolicy>> {
    let rule = (
        prop::collection::vec(sources(), 0..3),
        prop::collection::vec(operations(), 0..3),
        prop::collection::vec(conditions(), 0..2),
    );
    let rule = rule.prop_map(|(from, to, when)| Rule { from, to, when });
    let action =
        prop::sample::select(&[Action::Allow, Action::Deny, Action::Audit, Action::Custom][..]);
    let policy = (action, prop::bool::weighted(0.1), prop::collection::vec(rule, 0..4));
    let policy = policy.prop_map(|(action, dry_run, rules)| AuthorizationPolicy {
        name: "p".into(),
        namespace: "a".into(),
        action,
        dry_run,
        rules,
        ..AuthorizationPolicy::default()
    });
    prop::collection::vec(policy, 0..4)
}

pub(super) fn calls() -> impl Strategy<Value = Call> {
    let peer = prop::option::weighted(
        0.9,
        (prop::sample::select(&["a", "b", "ab"][..]), prop::sample::select(&["x", "y"][..])),
    );
    let ip = prop::sample::select(
        &["10.1.0.9", "10.1.7.1", "10.2.0.1", "192.168.0.1", "::ffff:10.1.0.9", "fd00::1"][..],
    );
    let path = prop::sample::select(
        &[
            "/",
            "/a",
            "/a/b",
            "/a;x/b",
            "/b;x",
            "/b",
            "/a/b?q",
            "/c/b",
            "/c/..;/b",
            "/;/a",
            "/a/b/c",
            "/a/x/c/b/y",
            "/a/;z/b/c",
        ][..],
    );
    let host = prop::sample::select(&["h.x", "H.x", "h.x:80", "h.x.", "h.x.:80", "g.y"][..]);
    let headers = prop::collection::vec(prop::sample::select(&["1", "2", "12"][..]), 0..3);
    let method = prop::sample::select(&["GET", "PUT", "POST"][..]);
    let port = prop::sample::select(&[80, 81, 82][..]);
    (peer, ip, path, host, headers, method, port, tokens()).prop_map(
        |(peer, ip, path, host, headers, method, port, token)| Call {
            peer: peer.map(|(ns, sa)| (ns.to_owned(), sa.to_owned())),
            source: ip.parse().unwrap(),
            port,
            method: method.into(),
            path: path.into(),
            host: host.into(),
            headers: headers.into_iter().map(|it| ("q".to_owned(), it.to_owned())).collect(),
            token,
        },
    )
}

fn tokens() -> impl Strategy<Value = Option<Claims>> {
    let words = || prop::collection::vec(prop::sample::select(&["u", "v", "w"][..]), 0..3);
    let subject = prop::option::of(prop::sample::select(&["s", "t"][..]));
    let token =
        (subject, words(), words(), prop::option::of(prop::sample::select(&["u", "w"][..])));
    let token = token.prop_map(|(subject, audiences, groups, presenter)| {
        let principal = subject.map(|subject| format!("iss/{subject}"));
        let claims = json!({
            "iss": "iss", "principal": principal, "aud": audiences, "azp": presenter, "group": groups,
        });
        Claims(claims)
    });
    prop::option::of(token)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn compiled_policies_decide_as_their_words_do(
        policies in policies(), call in calls(), is_http in any::<bool>(),
    ) {
        let judged = call.judge(&policies, is_http).denial;
        prop_assert_eq!(judged.is_none(), passes(&policies, &call, is_http), "{:?}", judged);
        // A refusal names a rule that matches.
        if let Some(Denial::Rule(id) | Denial::Custom(id)) = judged {
            let policy = &policies[id.policy as usize];
            let rule = &policy.rules[id.rule as usize];
            prop_assert!(is_match(policy, rule, &call, is_http));
        }
    }

    #[test]
    fn an_explanation_says_which_rules_match(
        policies in policies(), call in calls(), is_http in any::<bool>(),
    ) {
        let peer = call.peer.as_ref().map(|(ns, sa)| {
            Peer::of(&format!("spiffe://cluster.local/ns/{ns}/sa/{sa}").parse().unwrap())
        });
        let connection = Connection {
            peer: peer.as_ref(), source_ip: Some(call.source), remote_ip: Some(call.source),
            destination_ip: Some(IpAddr::from([10, 9, 9, 9])), destination_port: call.port,
            sni: Some("outbound_.80_._.web.default"),
        };
        let explained = match is_http {
            true => explain(&policies, &connection, Some(&call)).unwrap(),
            false => explain(&policies, &connection, None::<&NoRequest>).unwrap(),
        };
        for (policy, explained) in policies.iter().zip(&explained.of) {
            for (rule, explained) in policy.rules.iter().zip(&explained.rules) {
                let is_said = matches!(explained, RuleExplanation::Matches(_));
                prop_assert_eq!(is_said, is_match(policy, rule, &call, is_http), "{:?}", explained);
            }
        }
    }
}
