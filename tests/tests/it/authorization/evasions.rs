//! Ways round a DENY that are none: other spellings of a path, a host, a header.

use meltemi_tests::Http1;
use meltemi_tests::client::Http2;
use serde_json::json;

use super::World;

/// What is asked for with a raw request line and fields.
async fn raw(connection: &mut Http1, target: &str, fields: &str) -> (u16, String) {
    connection.send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n")).await;
    let response = connection.response().await;
    (response.status, response.text())
}

impl World {
    /// The status of a raw target, and the path that the application saw where it was asked.
    async fn asks(&self, path: &str) -> (u16, String) {
        let mut connection = self.client.http().await;
        let (status, _) = raw(&mut connection, &format!("http://web{path}"), "host: web\r\n").await;
        let seen = self.app.recorded().pop().map(|it| it.target).unwrap_or_default();
        (status, seen)
    }
}

const DENIED: &str = "/record/200";

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_of_a_path_are_the_path() {
    let world = World::start().await;
    let rules = json!([{"to": [{"operation": {"paths": [DENIED]}}]}]);
    world.policies(&[("DENY", rules)]).await;
    for path in [
        "/record/200",
        "//record/200",
        "/record//200",
        "/record///200",
        "/./record/200",
        "/record/./200",
        "/record/x/../200",
        "/x/../record/200",
        "/../record/200",
        "/record/x/%2e%2e/200",
        "/record/x/%2E./200",
        "/%72ecord/200",
        "/record/%32%30%30",
        "/record\\200",
        "/record\\x\\..\\200",
        "/record/200?x=1",
        "/record/200?",
        "/record;a=b/200",
        "/record/200;x",
        "/record/x;/../200",
    ] {
        let (status, seen) = world.asks(path).await;
        assert_eq!((status, seen.as_str()), (403, ""), "{path}");
    }
    for path in ["/record/200#x", "/record/200%00", "/%3%3%3%3%3%3%36"] {
        assert_eq!(world.asks(path).await.0, 400, "{path}");
    }
    // Other paths, which the application sees as they were judged.
    for (path, seen) in [
        ("/record/201", "/record/201"),
        ("/record/./201?x=/../y", "/record/201?x=/../y"),
        ("/record//201", "/record/201"),
        ("/record/%32%30%31", "/record/201"),
    ] {
        assert_eq!(world.asks(path).await, (201, seen.to_owned()), "{path}");
    }
    // Of these the application is the judge: another path to the mesh, as to RFC 3986.
    for path in ["/RECORD/200", "/record%2F200", "/records/200", "/other;/record/200"] {
        assert_eq!(world.asks(path).await.0, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_no_way_round() {
    let world = World::start().await;
    let rules = json!([
        {"to": [{"operation": {"paths": ["/closed/door"]}}]},
        {"to": [{"operation": {"hosts": ["web.default"]}}]},
    ]);
    world.policies(&[("DENY", rules)]).await;
    let mut calls = Http2::connect(world.client.outbound).await;
    let request = |target: &str| http::Request::get(target).body(Default::default()).unwrap();
    for (target, status) in [
        ("http://web/open/door", 200),
        ("http://web/closed/door", 403),
        ("http://web//closed/door", 403),
        ("http://web/closed/x/%2e%2e/door", 403),
        ("http://web/closed/./door?x", 403),
        ("http://web/closed;a/door;b", 403),
        ("http://WEB/%63losed/door", 403),
        ("http://web.default/", 403),
        ("http://WEB.Default:80/", 403),
    ] {
        assert_eq!(calls.call(request(target)).await.status(), status, "{target}");
    }
    // A host field that says something else than :authority (RFC 9113, section 8.3.1) is answered by nobody.
    let mut hidden = request("http://web.default/");
    hidden.headers_mut().insert("host", "web".parse().unwrap());
    assert!(calls.try_call(hidden).await.is_err());
    let mut hidden = request("http://web/");
    hidden.headers_mut().insert("host", "web.default".parse().unwrap());
    assert!(calls.try_call(hidden).await.is_err());
    assert_eq!(calls.call(request("http://web/open/door")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_of_normalisation_differ_as_istio_says() {
    for (level, expected) in [
        ("NONE", [200, 200, 200, 200]),
        ("BASE", [403, 200, 200, 403]),
        ("MERGE_SLASHES", [403, 403, 200, 403]),
        ("DECODE_AND_MERGE_SLASHES", [403, 403, 403, 403]),
    ] {
        let world = World::start_with(&["--path-normalization", level]).await;
        let rules = json!([{"to": [{"operation": {"paths": ["/a/b"]}}]}]);
        world.policies(&[("DENY", rules)]).await;
        let statuses = world.statuses(&["/a/x/../b", "/a//b", "/a%2Fb", "/%61/b"]).await;
        assert_eq!(statuses, expected, "{level}");
        assert_eq!(world.get("/a/b").await.status, 403, "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_of_a_host_are_the_host() {
    let world = World::start().await;
    let rules = json!([{"to": [{"operation": {"hosts": ["web.default"]}}]}]);
    world.policies(&[("DENY", rules)]).await;
    for host in ["web.default", "WEB.Default", "web.default:80", "web.default.", "web.default.:80"]
    {
        let mut connection = world.client.http().await;
        let target = format!("http://{host}/");
        let (status, text) = raw(&mut connection, &target, &format!("host: {host}\r\n")).await;
        assert_eq!(status, 403, "{host}: {text}");
    }
    // The target goes before the field (RFC 9112, section 3.2.2): neither may hide the other.
    let mut connection = world.client.http().await;
    let (status, _) = raw(&mut connection, "http://web.default/", "host: web\r\n").await;
    assert_eq!(status, 403);
    let mut connection = world.client.http().await;
    let fields = "host: web\r\nhost: web.default\r\n";
    assert_eq!(raw(&mut connection, "http://web/", fields).await.0, 400);
    // Another name of the service is another host.
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_line_of_a_header_hides_no_value() {
    let world = World::start().await;
    let condition = json!([{"when": [{"key": "request.headers[x-role]", "values": ["guest"]}]}]);
    world.policies(&[("DENY", condition.clone())]).await;
    for (fields, status) in [
        ("x-role: guest\r\n", 403),
        ("X-ROLE: guest\r\n", 403),
        ("x-role: user\r\nx-role: guest\r\n", 403),
        ("x-role: guest\r\nX-Role: user\r\n", 403),
        ("x-role: user\r\n", 200),
    ] {
        let mut connection = world.client.http().await;
        let seen = raw(&mut connection, "http://web/", &format!("host: web\r\n{fields}")).await;
        assert_eq!(seen.0, status, "{fields}");
    }
    // And opens nothing that its value alone would open.
    world.policies(&[("ALLOW", condition)]).await;
    for (fields, status) in [("x-role: guest\r\n", 200), ("x-role: user\r\nx-role: guest\r\n", 403)]
    {
        let mut connection = world.client.http().await;
        let seen = raw(&mut connection, "http://web/", &format!("host: web\r\n{fields}")).await;
        assert_eq!(seen.0, status, "{fields}");
    }
}
