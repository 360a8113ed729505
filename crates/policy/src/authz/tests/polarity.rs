//! What says the same in another way does not get round a refusal, and opens nothing.

use super::*;

#[test]
fn hosts_are_refused_with_port_and_dot_and_allowed_as_they_are_written() {
    let rules = |host: &str| json!([{"to": [{"hosts": [host]}]}]);
    for (host, pattern, denies, allows) in [
        ("web.shop", "web.shop", true, true),
        ("WEB.shop", "web.SHOP", true, true),
        ("web.shop:80", "web.shop", true, false),
        ("web.shop.", "web.shop", true, false),
        ("web.shop.:80", "web.shop", true, false),
        ("web.shop.:80", "web.shop:80", true, false),
        ("web.shop:80", "web.shop:*", true, true),
        ("web.shop:80", "*.shop", true, false),
        ("[::1]:80", "[::1]", true, false),
        ("web.shopping", "web.shop", false, false),
    ] {
        let call = Call { host: host.into(), ..Call::default() };
        assert_eq!(
            !call.passes(&[policy("DENY", rules(pattern))]),
            denies,
            "DENY {host} {pattern}"
        );
        assert_eq!(
            call.passes(&[policy("ALLOW", rules(pattern))]),
            allows,
            "ALLOW {host} {pattern}"
        );
        // What is excluded from what is allowed is excluded in all ways of writing it.
        let not = json!([{"to": [{"notHosts": [pattern]}]}]);
        assert_eq!(!call.passes(&[policy("ALLOW", not)]), denies, "notHosts {host} {pattern}");
    }
}

#[test]
fn parameters_of_a_path_get_round_no_refusal() {
    let rules = |path: &str| json!([{"to": [{"paths": [path]}]}]);
    for (path, pattern, denies, allows) in [
        ("/admin;x=1", "/admin", true, false),
        ("/admin;x=1/users", "/admin/*", true, false),
        ("/x/..;/admin", "/admin", true, false),
        ("/..;/admin", "/admin", true, false),
        ("/.;/admin", "/admin", true, false),
        ("/;x/admin", "/admin", true, false),
        ("/a/b;/..;v=1/../admin/", "/admin/", true, false),
        ("/admin;/users;a", "/{*}/users", true, false),
        ("/a;x", "/a;x", true, true),
        ("/public;/admin", "/admin", false, false),
        ("/a;x", "/a;*", true, true),
    ] {
        let call = Call { path: path.into(), ..Call::default() };
        assert_eq!(
            !call.passes(&[policy("DENY", rules(pattern))]),
            denies,
            "DENY {path} {pattern}"
        );
        assert_eq!(
            call.passes(&[policy("ALLOW", rules(pattern))]),
            allows,
            "ALLOW {path} {pattern}"
        );
        let not = json!([{"to": [{"notPaths": [pattern]}]}]);
        assert_eq!(!call.passes(&[policy("ALLOW", not)]), denies, "notPaths {path} {pattern}");
    }
}

#[test]
fn each_of_several_lines_of_a_header_counts_where_it_refuses() {
    let header = |value: &str| ("x-role".to_owned(), value.to_owned());
    let call = Call { headers: vec![header("user"), header("admin")], ..Call::default() };
    let rules =
        |value: &str| json!([{"when": [{"key": "request.headers[x-role]", "values": [value]}]}]);
    for (value, denies, allows) in [
        ("admin", true, false),
        ("user", true, false),
        ("user,admin", true, true),
        ("x", false, false),
    ] {
        assert_eq!(!call.passes(&[policy("DENY", rules(value))]), denies, "DENY {value}");
        assert_eq!(call.passes(&[policy("ALLOW", rules(value))]), allows, "ALLOW {value}");
    }
}
