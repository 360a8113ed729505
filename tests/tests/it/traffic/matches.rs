//! Which rule a request goes by.

use meltemi_tests::eventually;

use super::{World, virtual_service};

/// A rule whose answer is its name.
fn rule(name: &str, matches: &str) -> String {
    format!("{{match: [{matches}], directResponse: {{status: 200, body: {{string: {name}}}}}}}")
}

/// Method, path and fields of a request, and the rule that it goes by.
type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str);

impl World {
    /// Checks which rules requests to paths with fields go by; `none` for a 404.
    async fn goes(&self, expected: &[Case<'_>]) {
        for (method, path, headers, name) in expected {
            let response = self.call(method, path, headers, b"").await;
            let text = response.text();
            let seen = if response.status == 404 { "none" } else { text.as_str() };
            assert_eq!(seen, *name, "{method} {path} {headers:?}: {}", response.status);
        }
    }
}

/// Fields: VirtualService spec.http[].match[].uri.exact, spec.http[].match[].uri.prefix,
/// spec.http[].match[].uri.regex, spec.http[].match[].ignoreUriCase
#[tokio::test(flavor = "multi_thread")]
async fn paths_are_matched_whole_by_prefix_and_by_regex() {
    let world = World::start(&["v1"]).await;
    let rules = [
        rule("exact", "{uri: {exact: /one}}"),
        rule("prefix", "{uri: {prefix: /two/}}"),
        rule("regex", "{uri: {regex: '/three/[0-9]+'}}"),
        rule("any-case", "{uri: {prefix: /four}, ignoreUriCase: true}"),
        rule("either", "{uri: {exact: /five}}, {uri: {exact: /six}}"),
    ];
    world.route(&rules.join(", ")).await;
    world
        .goes(&[
            ("GET", "/one", &[], "exact"),
            ("GET", "/one?a=b", &[], "exact"),
            ("GET", "/one/", &[], "none"),
            ("GET", "/One", &[], "none"),
            ("GET", "/two/x", &[], "prefix"),
            ("GET", "/two", &[], "none"),
            ("GET", "/three/33", &[], "regex"),
            ("GET", "/three/33?x", &[], "regex"),
            ("GET", "/three/33/x", &[], "none"),
            ("GET", "/x/three/33", &[], "none"),
            ("GET", "/FOUR/x", &[], "any-case"),
            ("GET", "/five", &[], "either"),
            ("GET", "/six", &[], "either"),
        ])
        .await;
}

/// Fields: VirtualService spec.http[].match[].headers.*.exact, spec.http[].match[].headers.*.prefix,
/// spec.http[].match[].headers.*.regex, spec.http[].match[].withoutHeaders.*.exact,
/// spec.http[].match[].withoutHeaders.*.prefix, spec.http[].match[].withoutHeaders.*.regex
#[tokio::test(flavor = "multi_thread")]
async fn fields_are_matched_by_value_and_presence() {
    let world = World::start(&["v1"]).await;
    let rules = [
        rule("exact", "{headers: {x-user: {exact: ann}}}"),
        rule("prefix", "{headers: {x-user: {prefix: b}}}"),
        rule("regex", "{headers: {x-user: {regex: 'c[0-9]+'}}}"),
        rule("both", "{headers: {x-a: {exact: '1'}, x-b: {exact: '2'}}}"),
        rule("present", "{headers: {x-present: {}}}"),
        rule("without", "{uri: {prefix: /without}, withoutHeaders: {x-debug: {exact: 'yes'}}}"),
        rule("no-prefix", "{uri: {exact: /no-prefix}, withoutHeaders: {x-debug: {prefix: y}}}"),
        rule("no-regex", "{uri: {exact: /no-regex}, withoutHeaders: {x-debug: {regex: 'y+'}}}"),
    ];
    world.route(&rules.join(", ")).await;
    world
        .goes(&[
            ("GET", "/", &[("x-user", "ann")], "exact"),
            ("GET", "/", &[("X-User", "ann")], "exact"),
            ("GET", "/", &[("x-user", "anna")], "none"),
            ("GET", "/", &[("x-user", "bob")], "prefix"),
            ("GET", "/", &[("x-user", "c12")], "regex"),
            ("GET", "/", &[("x-user", "c12x")], "none"),
            ("GET", "/", &[("x-a", "1"), ("x-b", "2")], "both"),
            ("GET", "/", &[("x-a", "1")], "none"),
            ("GET", "/", &[("x-present", "whatever")], "present"),
            ("GET", "/without", &[], "without"),
            ("GET", "/without", &[("x-debug", "no")], "without"),
            ("GET", "/without", &[("x-debug", "yes")], "none"),
            ("GET", "/no-prefix", &[("x-debug", "no")], "no-prefix"),
            ("GET", "/no-prefix", &[("x-debug", "yes")], "none"),
            ("GET", "/no-regex", &[("x-debug", "yes")], "no-regex"),
            ("GET", "/no-regex", &[("x-debug", "yy")], "none"),
        ])
        .await;
}

/// Fields: VirtualService spec.http[].match[].method.exact, spec.http[].match[].method.prefix,
/// spec.http[].match[].method.regex, spec.http[].match[].queryParams.*.exact,
/// spec.http[].match[].queryParams.*.prefix, spec.http[].match[].queryParams.*.regex,
/// spec.http[].match[].scheme.exact, spec.http[].match[].scheme.prefix, spec.http[].match[].scheme.regex,
/// spec.http[].match[].authority.exact, spec.http[].match[].authority.prefix, spec.http[].match[].authority.regex,
/// spec.http[].match[].port
#[tokio::test(flavor = "multi_thread")]
async fn methods_queries_authorities_schemes_and_ports_are_matched() {
    let world = World::start(&["v1"]).await;
    let rules = [
        rule("delete", "{method: {exact: DELETE}}"),
        rule("pa", "{method: {prefix: PA}}"),
        rule("put", "{method: {regex: 'PUT|PURGE'}}"),
        rule("query-exact", "{queryParams: {page: {exact: '1'}}}"),
        rule("query-regex", "{queryParams: {page: {regex: '[2-9]+'}}}"),
        rule("query-prefix", "{queryParams: {page: {prefix: last}}}"),
        rule("scheme", "{uri: {exact: /scheme}, scheme: {exact: http}}"),
        rule("other-scheme", "{uri: {exact: /other-scheme}, scheme: {exact: https}}"),
        rule("scheme-prefix", "{uri: {exact: /scheme-prefix}, scheme: {prefix: ht}}"),
        rule("no-scheme-prefix", "{uri: {exact: /no-scheme-prefix}, scheme: {prefix: ws}}"),
        rule("scheme-regex", "{uri: {exact: /scheme-regex}, scheme: {regex: 'ht+p'}}"),
        rule("no-scheme-regex", "{uri: {exact: /no-scheme-regex}, scheme: {regex: 'htt'}}"),
        rule("authority", "{uri: {exact: /authority}, authority: {exact: hello}}"),
        rule("authority-prefix", "{uri: {exact: /authority-prefix}, authority: {prefix: hel}}"),
        rule("authority-regex", "{uri: {exact: /authority-regex}, authority: {regex: 'hel+o'}}"),
        rule(
            "no-authority-regex",
            "{uri: {exact: /no-authority-regex}, authority: {regex: 'hel+'}}",
        ),
        rule("other-authority", "{uri: {exact: /other-authority}, authority: {prefix: bye}}"),
        rule("port", "{uri: {exact: /port}, port: 80}"),
        rule("other-port", "{uri: {exact: /other-port}, port: 81}"),
    ];
    world.route(&rules.join(", ")).await;
    world
        .goes(&[
            ("DELETE", "/", &[], "delete"),
            ("PATCH", "/", &[], "pa"),
            ("PUT", "/", &[], "put"),
            ("PURGE", "/", &[], "put"),
            ("POST", "/", &[], "none"),
            ("GET", "/?page=1", &[], "query-exact"),
            ("GET", "/?x=y&page=1", &[], "query-exact"),
            ("GET", "/?page=33", &[], "query-regex"),
            ("GET", "/?page=31", &[], "none"),
            ("GET", "/?page=last-but-one", &[], "query-prefix"),
            ("GET", "/?apage=1", &[], "none"),
            ("GET", "/scheme", &[], "scheme"),
            ("GET", "/other-scheme", &[], "none"),
            ("GET", "/scheme-prefix", &[], "scheme-prefix"),
            ("GET", "/no-scheme-prefix", &[], "none"),
            ("GET", "/scheme-regex", &[], "scheme-regex"),
            ("GET", "/no-scheme-regex", &[], "none"),
            ("GET", "/authority", &[], "authority"),
            ("GET", "/authority-prefix", &[], "authority-prefix"),
            ("GET", "/authority-regex", &[], "authority-regex"),
            ("GET", "/no-authority-regex", &[], "none"),
            ("GET", "/other-authority", &[], "none"),
            ("GET", "/port", &[], "port"),
            ("GET", "/other-port", &[], "none"),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_matches_counts() {
    let world = World::start(&["v1"]).await;
    let first = rule("first", "{uri: {prefix: /a}}");
    let second = rule("second", "{uri: {exact: /a/b}}");
    world.route(&format!("{first}, {second}")).await;
    assert_eq!(world.get("/a/b").await.text(), "first", "not the more specific one");
    world.route(&format!("{second}, {first}")).await;
    assert_eq!(world.get("/a/b").await.text(), "second");
    assert_eq!(world.get("/a/c").await.text(), "first");
    let all = "{directResponse: {status: 200, body: {string: all}}}";
    world.route(&format!("{second}, {all}")).await;
    assert_eq!(world.get("/z").await.text(), "all", "a rule without a match is for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_rule_matches_is_not_found() {
    let world = World::start(&["v1"]).await;
    world.route("{match: [{uri: {exact: /a}}], route: [{destination: {host: hello}}]}").await;
    assert_eq!(world.get("/a").await.served_by(), "hello-v1");
    assert_eq!(world.get("/b").await.status, 404);
    world.counted("404", "NR", 1).await;
    assert_eq!(world.app(0).requests(), 1, "the application has not seen it");
}

/// As in Istio, a port or a caller that no match is for has no rules, and what nothing matches on a port with rules is refused.
#[tokio::test(flavor = "multi_thread")]
async fn where_no_match_is_for_the_caller_or_the_port_the_service_itself_is_called() {
    let world = World::start(&["v1"]).await;
    for (matches, status) in [
        ("{uri: {exact: /only}}", 404),
        ("{sourceLabels: {app: nobody}}", 200),
        ("{port: 80}", 301),
        ("{port: 81}", 200),
        ("{sourceLabels: {app: nobody}}, {uri: {exact: /only}}", 404),
        ("{gateways: [istio-system/edge]}", 200),
    ] {
        let rule = format!("{{match: [{matches}], redirect: {{uri: /elsewhere}}}}");
        world.mesh.apply(&virtual_service("hello", "hosts: [hello]", &rule)).await;
        eventually(matches, async || {
            let seen = world.get("/").await.status;
            (seen == status).then_some(()).ok_or(seen.to_string())
        })
        .await;
    }
}
