//! What authorization costs: `cargo bench -p meltemi-policy --bench authz`.
//!
//! 1,000 policies of 10 rules each are to add less than 5 microseconds to a request. What is measured is all that is done
//! for a request; what a connection settles before its first one is a line of its own. The last lines are of rules that nothing is
//! known by which would have to be there: each forbids something that is there, so that none of them matches. Words after `--`
//! choose lines by what they begin with.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use meltemi_policy::authz::rule::{
    Action, AuthorizationPolicy, Condition, Operation, Rule, Source,
};
use meltemi_policy::authz::{Connection, Peer, Policies, Request, Token};

const POLICIES: usize = 1000;
const RULES: usize = 10;
const CALLS: usize = 1024;
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

const HEADERS: [(&str, &str); 6] = [
    ("accept", "*/*"),
    ("user-agent", "bench"),
    ("x-item", "50"),
    ("x-request-id", "3c6d8f1e-1c1f-4a35-8a2a-5a7f5b1d3a01"),
    ("x-team", "blue"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

struct Call {
    path: String,
}

impl Request for Call {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn authority(&self) -> &[u8] {
        b"reviews.shop.svc.cluster.local"
    }

    fn headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let own = HEADERS.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| value.as_bytes())
    }

    fn each_header_name(&self, show: &mut dyn FnMut(&[u8])) -> bool {
        HEADERS.iter().for_each(|(name, _)| show(name.as_bytes()));
        true
    }

    fn token(&self) -> Option<&dyn Token> {
        Some(&Claims)
    }
}

/// A token of one group.
struct Claims;

impl Token for Claims {
    fn issuer(&self) -> &str {
        "https://issuer.example"
    }

    fn principal(&self) -> Option<&str> {
        Some("https://issuer.example/alice")
    }

    fn each_audience(&self, _: &mut dyn FnMut(&str)) {}

    fn presenter(&self) -> Option<&str> {
        None
    }

    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str)) {
        if path.len() == 1 && *path[0] == *"group" {
            show("blue");
        }
    }

    fn each_claim_name(&self, show: &mut dyn FnMut(&str)) -> bool {
        ["iss", "sub", "exp", "group"].into_iter().for_each(show);
        true
    }
}

/// How a policy's rules tell requests apart.
#[derive(Clone, Copy)]
enum By {
    /// Each rule names another service account, and a method.
    Principals,
    /// All are for one namespace, each for the paths below another one, and methods.
    Paths,
    /// Both, and a condition on a header.
    Both,
    /// A header's value alone.
    Header,
    /// A claim's value alone.
    Claim,
    /// The host alone.
    Host,
    /// A header, a claim, or the host: as the number of the rule says.
    Mixed,
    /// How a header's value ends.
    HeaderEnd,
    /// How the path begins, no further than within a part.
    PathStart,
    /// How the path ends.
    PathEnd,
    /// How a template begins.
    TemplateStart,
    /// How a template ends.
    TemplateEnd,
    /// How the host ends.
    HostEnd,
    /// How the caller's principal ends.
    PrincipalEnd,
    /// The block of addresses that the caller is in, and the same method of all.
    Blocks,
    /// That a header is there, another one of each rule.
    Presence,
    /// What stands in the middle of a template.
    TemplateMiddle,
    /// That a header is there, one of a hundred.
    PresenceFew,
    /// That a claim is there, another one of each rule.
    PresenceClaim,
    /// A path and a header's value, each of which a hundred rules share.
    Shared,
    /// What is not to be there, which is there: a path.
    Not,
    /// A path by a template.
    NotTemplate,
    /// A header's value.
    NotHeader,
    /// The host.
    NotHost,
    /// The token's principal.
    NotToken,
    /// The caller.
    NotCaller,
    /// The caller's address.
    NotBlock,
    /// A path, with a method that all demand.
    NotAndMethod,
    /// The caller, with a method that all demand.
    NotCallerAndMethod,
    /// One of two sources, and one of two operations, with something that is there in each.
    NotTwice,
}

fn rule(by: By, number: usize) -> Rule {
    let principal = |number| format!("cluster.local/ns/shop/sa/caller-{number}");
    let source = |principals| vec![Source { principals, ..Source::default() }];
    let path = format!("/api/v1/service-{}/item-{}/*", number / 100, number % 100);
    let methods = vec!["GET".to_owned(), "HEAD".to_owned()];
    let when = |key: &str, value: String| {
        vec![Condition { key: key.to_owned(), values: vec![value], not_values: Vec::new() }]
    };
    let header = |value: String| when("request.headers[x-team]", value);
    let of_path = |path: String| {
        let to = vec![Operation { paths: vec![path], ..Operation::default() }];
        Rule { to, ..Rule::default() }
    };
    match by {
        By::Principals => Rule {
            from: source(vec![principal(number)]),
            to: vec![Operation { methods, ..Operation::default() }],
            when: Vec::new(),
        },
        By::Paths => Rule {
            from: vec![Source { namespaces: vec!["shop".into()], ..Source::default() }],
            to: vec![Operation { methods, paths: vec![path], ..Operation::default() }],
            when: Vec::new(),
        },
        By::Both => Rule {
            from: source(vec![principal(number % 100), principal(number % 100 + 1)]),
            to: vec![Operation { methods, paths: vec![path], ..Operation::default() }],
            when: header("blue".into()),
        },
        By::Header => Rule { when: header(format!("{number}")), ..Rule::default() },
        By::Claim => Rule {
            when: when("request.auth.claims[group]", format!("{number}")),
            ..Rule::default()
        },
        By::Host => {
            let hosts = vec![format!("service-{number}.shop.svc.cluster.local")];
            Rule { to: vec![Operation { hosts, ..Operation::default() }], ..Rule::default() }
        }
        By::Mixed => rule([By::Header, By::Claim, By::Host][number % 3], number),
        By::HeaderEnd => Rule { when: header(format!("*-{number}")), ..Rule::default() },
        By::PathStart => {
            of_path(format!("/api/v1/service-{}/item-{}*", number / 100, number % 100))
        }
        By::PathEnd => of_path(format!("*/service-{}/item-{}/x", number / 100, number % 100)),
        By::TemplateStart => {
            of_path(format!("/api/v1/service-{}/item-{}/{{*}}", number / 100, number % 100))
        }
        By::TemplateEnd => {
            of_path(format!("/api/{{*}}/service-{}/item-{}/x", number / 100, number % 100))
        }
        By::TemplateMiddle => {
            of_path(format!("/api/{{*}}/service-{}/item-{}/{{**}}", number / 100, number % 100))
        }
        By::HostEnd => {
            let hosts = vec![format!("*.service-{number}.example.com")];
            Rule { to: vec![Operation { hosts, ..Operation::default() }], ..Rule::default() }
        }
        By::PrincipalEnd => Rule {
            from: source(vec![format!("*/sa/caller-{number}")]),
            to: vec![Operation { methods, ..Operation::default() }],
            when: Vec::new(),
        },
        By::Blocks => {
            let ip_blocks = vec![format!("10.{}.{}.0/24", number / 100, number % 100)];
            Rule {
                from: vec![Source { ip_blocks, ..Source::default() }],
                to: vec![Operation { methods, ..Operation::default() }],
                when: Vec::new(),
            }
        }
        By::Presence => Rule {
            when: when(&format!("request.headers[x-own-{number}]"), "*".into()),
            ..Rule::default()
        },
        By::PresenceFew => Rule {
            when: when(&format!("request.headers[x-own-{}]", number % 100), "*".into()),
            ..Rule::default()
        },
        By::PresenceClaim => Rule {
            when: when(&format!("request.auth.claims[own-{number}]"), "*".into()),
            ..Rule::default()
        },
        By::Shared => Rule {
            when: when("request.headers[x-item]", format!("{}", number % 100)),
            ..of_path(format!("/api/v1/service-{}/*", number / 100))
        },
        other => negations(other, number),
    }
}

/// A rule that nothing matches here for what it forbids.
fn negations(by: By, number: usize) -> Rule {
    let get = || vec!["GET".to_owned()];
    let to = |operation| Rule { to: vec![operation], ..Rule::default() };
    let from = |source| Rule { from: vec![source], ..Rule::default() };
    let not_paths = vec!["/api/*".into(), format!("/other-{number}/*")];
    let caller = |number| format!("cluster.local/ns/shop/sa/caller-{number}");
    let not_principals = vec![caller(50), caller(number)];
    let not_ip_blocks = vec!["10.7.0.0/16".into(), format!("10.8.{}.0/24", number % 256)];
    match by {
        By::NotTemplate => to(Operation {
            not_paths: vec!["/api/{*}/{**}".into(), format!("/other-{number}/{{**}}")],
            ..Operation::default()
        }),
        By::NotHeader => Rule {
            when: vec![Condition {
                key: "request.headers[x-team]".into(),
                values: Vec::new(),
                not_values: vec!["blu*".into(), format!("{number}")],
            }],
            ..Rule::default()
        },
        By::NotHost => to(Operation {
            not_hosts: vec!["*.svc.cluster.local".into(), format!("*.host-{number}")],
            ..Operation::default()
        }),
        By::NotToken => from(Source {
            not_request_principals: vec![
                "https://issuer.example/*".into(),
                format!("https://issuer-{number}.example/*"),
            ],
            ..Source::default()
        }),
        By::NotCaller => from(Source { not_principals, ..Source::default() }),
        By::NotBlock => from(Source { not_ip_blocks, ..Source::default() }),
        By::NotAndMethod => to(Operation { methods: get(), not_paths, ..Operation::default() }),
        By::NotCallerAndMethod => Rule {
            to: vec![Operation { methods: get(), ..Operation::default() }],
            ..from(Source { not_principals, ..Source::default() })
        },
        By::NotTwice => Rule {
            from: vec![
                Source { not_principals, ..Source::default() },
                Source { not_ip_blocks, ..Source::default() },
            ],
            to: vec![
                Operation { not_paths, ..Operation::default() },
                Operation { not_methods: get(), ..Operation::default() },
            ],
            when: Vec::new(),
        },
        _ => to(Operation { not_paths, ..Operation::default() }),
    }
}

fn policies(by: By, action: Action) -> Vec<AuthorizationPolicy> {
    let policy = |number: usize| AuthorizationPolicy {
        name: format!("policy-{number}"),
        namespace: "shop".into(),
        action,
        rules: (0..RULES).map(|index| rule(by, number * RULES + index)).collect(),
        ..AuthorizationPolicy::default()
    };
    (0..POLICIES).map(policy).collect()
}

fn per_call(mut run: impl FnMut(usize)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            (0..CALLS).for_each(&mut run);
            calls += CALLS;
        }
        best = best.min(started.elapsed().as_nanos() as f64 / calls as f64);
    }
    best
}

fn main() {
    let peer = Peer::of(&"spiffe://cluster.local/ns/shop/sa/caller-50".parse().expect("an id"));
    let connection = Connection {
        peer: Some(&peer),
        source_ip: Some([10, 7, 50, 9].into()),
        destination_port: 8080,
        ..Connection::default()
    };
    let calls: Vec<Call> = (0..CALLS)
        .map(|number| number * 9)
        .map(|number| Call {
            path: format!("/api/v1/service-{}/item-{}/x?q=1", number / 100, number % 100),
        })
        .collect();
    let chosen: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    for (name, by) in [
        ("by principals", By::Principals),
        ("by paths", By::Paths),
        ("by both", By::Both),
        ("by a header", By::Header),
        ("by a claim", By::Claim),
        ("by host", By::Host),
        ("by any of them", By::Mixed),
        ("by a header's end", By::HeaderEnd),
        ("by a path's start", By::PathStart),
        ("by a path's end", By::PathEnd),
        ("by template, start", By::TemplateStart),
        ("by template, end", By::TemplateEnd),
        ("by a host's end", By::HostEnd),
        ("by a caller's end", By::PrincipalEnd),
        ("by blocks", By::Blocks),
        ("by presence", By::Presence),
        ("by template, middle", By::TemplateMiddle),
        ("by presence, few", By::PresenceFew),
        ("by a claim's presence", By::PresenceClaim),
        ("by two that are shared", By::Shared),
        ("not path", By::Not),
        ("not template", By::NotTemplate),
        ("not header", By::NotHeader),
        ("not host", By::NotHost),
        ("not token", By::NotToken),
        ("not caller", By::NotCaller),
        ("not block", By::NotBlock),
        ("not path, method", By::NotAndMethod),
        ("not caller, method", By::NotCallerAndMethod),
        ("not, two by two", By::NotTwice),
    ] {
        if !chosen.is_empty() && !chosen.iter().any(|it| name.starts_with(it.as_str())) {
            continue;
        }
        for action in [Action::Deny, Action::Allow] {
            let list = policies(by, action);
            let started = Instant::now();
            let compiled = Policies::compile(&list).expect("policies that are right");
            let took = started.elapsed();
            let settled = compiled.settle(&connection);
            let passed = calls
                .iter()
                .filter(|call| compiled.judge(&settled, &connection, Some(*call)).denial.is_none())
                .count();
            let request = per_call(|index| {
                black_box(compiled.judge(&settled, &connection, Some(black_box(&calls[index]))));
            });
            let settling = per_call(|_| {
                black_box(compiled.settle(black_box(&connection)));
            });
            println!(
                "{:<23} {:<6} {request:>9.0} ns a request, {settling:>7.0} ns a connection, compiled in {took:.1?}; {passed} of {CALLS} pass",
                name,
                action.as_str(),
            );
        }
    }
}
