//! How many rules are looked at: that is what judging costs.

use serde_json::{Value, json};

use super::super::compile::compile;
use super::super::input::{Connection, Peer};
use super::super::tests::{Call, policy};
use super::*;

const RULES: usize = 1000;

/// How many of 1,000 rules are looked at for a call of `/api/a7/b7.html` at `h7.example.com` with a header `x: start-7-end` by
/// `ns7/sa7` from 10.0.7.1.
fn looked_at(rule: impl Fn(usize) -> Value) -> usize {
    let policy = policy("DENY", json!((0..RULES).map(rule).collect::<Vec<_>>()));
    let compiled = compile(&policy, 0).unwrap();
    let mut building = Building::default();
    for (number, (rule, compiled)) in policy.rules.iter().zip(&compiled).enumerate() {
        building.push(number as u32, rule, &policy.namespace, compiled);
    }
    let index = building.build(true);
    let peer = Peer::of(&"spiffe://cluster.local/ns/ns7/sa/sa7".parse().unwrap());
    let connection = Connection {
        peer: Some(&peer),
        source_ip: Some([10, 0, 7, 1].into()),
        remote_ip: Some([10, 0, 7, 1].into()),
        destination_port: 8007,
        sni: Some("sni-7"),
        ..Connection::default()
    };
    let call = Call {
        path: "/api/a7/b7.html".into(),
        host: "h7.example.com".into(),
        headers: vec![("x".into(), "start-7-end".into())],
        ..Call::default()
    };
    let alone = View::<NoRequest>::new(&connection, None);
    let (buckets, view) = (index.buckets(&alone), View::new(&connection, Some(&call)));
    let mut count = 0;
    let mut refuse = |_| {
        count += 1;
        false
    };
    index.find_plain(&buckets, &alone, &mut refuse);
    index.find_of_request(&buckets, &view, true, &mut refuse);
    count
}

#[test]
fn one_rule_is_looked_at_whatever_tells_it_from_the_others() {
    let to = |field: &str, text: String| json!({"to": [{"methods": ["GET"], field: [text]}]});
    let from = |field: &str, text: String| json!({"from": [{field: [text]}]});
    let when = |key: &str, text: String| json!({"when": [{"key": key, "values": [text]}]});
    let block = |at: usize| format!("10.{}.{}.0/24", at / 256, at % 256);
    assert_eq!(looked_at(|at| to("paths", format!("/api/a{at}/*"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("/api/a{at}/b*"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("*/a{at}/b{at}.html"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("/api/a{at}/{{*}}"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("/api/{{**}}/b{at}.html"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("/{{*}}/a{at}/{{**}}"))), 1);
    assert_eq!(looked_at(|at| to("paths", format!("/{{*}}/a{at}/{{*}}"))), 1);
    assert_eq!(looked_at(|at| to("hosts", format!("H{at}.Example.com"))), 1);
    assert_eq!(looked_at(|at| to("hosts", format!("h{at}.*"))), 1);
    assert_eq!(looked_at(|at| to("hosts", format!("*h{at}.example.com"))), 1);
    assert_eq!(looked_at(|at| to("ports", (8000 + at).to_string())), 1);
    assert_eq!(looked_at(|at| when("request.headers[x]", format!("start-{at}-*"))), 1);
    assert_eq!(looked_at(|at| when("request.headers[x]", format!("*-{at}-end"))), 1);
    assert_eq!(looked_at(|at| when("connection.sni", format!("*ni-{at}"))), 1);
    assert_eq!(looked_at(|at| from("principals", format!("*/sa/sa{at}"))), 1);
    assert_eq!(looked_at(|at| from("principals", format!("cluster.local/ns/ns{at}/*"))), 1);
    assert_eq!(looked_at(|at| from("serviceAccounts", format!("*/sa{at}"))), 1);
    assert_eq!(looked_at(|at| from("ipBlocks", block(at))), 1);
    assert_eq!(looked_at(|at| from("remoteIpBlocks", block(at))), 1);
}

#[test]
fn what_rules_share_does_not_keep_them_from_being_found() {
    // By the sources that differ, though all name the namespace, and by the paths that do.
    let source = |at: usize| json!({"namespaces": ["ns7"], "ipBlocks": [format!("10.0.{at}.1")]});
    assert_eq!(looked_at(|at| json!({"from": [source(at % 200)]})), RULES / 200);
    let both = |at: usize| json!({"to": [{"paths": ["/api/*"], "hosts": [format!("h{at}.*")]}]});
    assert_eq!(looked_at(both), 1);
    // Sources that are told apart by different things.
    let either = |at: usize| json!({"from": [{"principals": [format!("*/sa{at}")]}, {"namespaces": [format!("n{at}")]}]});
    assert_eq!(looked_at(either), 1);
    // Both are shared by many: the one that has both is found.
    let shared = |at: usize| {
        json!({
            "to": [{"paths": [format!("/api/a{}/*", at % 20)]}],
            "when": [{"key": "request.headers[x]", "values": [format!("start-{}-*", at / 20)]}],
        })
    };
    assert_eq!(looked_at(|at| shared(at + 7 * 20)), 1);
    // A rule that names several things that are there is looked at once.
    let twice = |at: usize| json!({"to": [{"paths": [format!("/api/a{at}/*"), "*.html"]}]});
    assert_eq!(looked_at(twice), RULES);
}

/// What is there rules them all out, whatever it is, and in each of their sources and operations.
#[test]
fn no_rule_is_looked_at_that_forbids_what_is_there() {
    let to = |field: &str, text: &str, own: String| json!({"to": [{field: [text, own]}]});
    let from = |field: &str, text: &str, own: String| json!({"from": [{field: [text, own]}]});
    let none = |at: usize| format!("none-{at}");
    let block = |at: usize| format!("10.{}.{}.0/24", 1 + at / 256, at % 256);
    assert_eq!(looked_at(|at| to("notPaths", "/api/*", none(at))), 0);
    assert_eq!(looked_at(|at| to("notPaths", "/api/{*}/{*}", none(at))), 0);
    assert_eq!(looked_at(|at| to("notHosts", "*.example.com", none(at))), 0);
    assert_eq!(looked_at(|at| to("notMethods", "*", none(at))), 0);
    assert_eq!(looked_at(|at| from("notPrincipals", "*/sa/sa7", none(at))), 0);
    assert_eq!(looked_at(|at| from("notIpBlocks", "10.0.0.0/16", block(at))), 0);
    let with_method =
        |at: usize| json!({"to": [{"methods": ["GET"], "notPaths": ["/api/*", none(at)]}]});
    assert_eq!(looked_at(with_method), 0);
    let twice = |at: usize| {
        json!({
            "from": [{"notNamespaces": ["ns7", none(at)]}, {"notIpBlocks": ["10.0.0.0/16"]}],
            "to": [{"notPaths": ["/api/*"]}, {"methods": ["PUT", "POST"]}],
        })
    };
    assert_eq!(looked_at(twice), 0);
    let but_one = |at: usize| to("notPaths", if at == 700 { "/x" } else { "/api/*" }, none(at));
    assert_eq!(looked_at(but_one), 1);
}

#[test]
fn where_nothing_tells_them_apart_each_is_looked_at() {
    assert_eq!(looked_at(|at| json!({"to": [{"notPaths": [format!("/x{at}")]}]})), RULES);
    assert_eq!(
        looked_at(|at| json!({"from": [{"notIpBlocks": [format!("10.1.1.{}", at % 200)]}]})),
        RULES
    );
    assert_eq!(looked_at(|_| json!({"to": [{"paths": ["*"]}]})), RULES);
}
