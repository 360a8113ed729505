//! An authorizer that is asked by HTTP.

use super::{AskedByHttp, Asking, paths, seen};

impl Asking {
    fn asked_by_http(&self) -> AskedByHttp {
        let mut asked = self.http.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

/// Fields: AuthorizationPolicy spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_by_http_is_shown_and_passes_on_what_the_provider_says() {
    let asking = Asking::start().await;
    asking.asks("http", paths(&["/echo"])).await;
    let sent = [
        ("x-user", "mallory"),
        ("x-secret", "s"),
        ("x-own-a", "1"),
        ("x-other", "2"),
        ("x-mesh", "callers"),
        ("authorization", "Bearer t"),
        ("cookie", "a=b"),
    ];
    let allowed = asking.call("/echo?a=b", "allow", &sent).await;
    assert_eq!((allowed.status, allowed.header("x-why")), (200, Some("rules")));
    assert_eq!(allowed.header("set-cookie"), None);
    for (name, value) in [("x-user", "ann"), ("x-secret", ""), ("x-why", ""), ("x-other", "2")] {
        assert_eq!(seen(&allowed, name), value, "{name}");
    }
    let asked = asking.asked_by_http();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/check/echo?a=b"));
    for (name, value) in [
        ("host", "web"),
        ("x-own-a", "1"),
        ("x-mesh", "test"),
        ("authorization", "Bearer t"),
        ("x-other", ""),
        ("cookie", ""),
        ("x-envoy-auth-partial-body", ""),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }

    let mut connection = asking.world.client.http().await;
    let headers = [("x-ask", "deny"), ("content-type", "text/plain")];
    let denied = connection.call("PUT", "http://web/echo", &headers, b"123456789").await;
    assert_eq!((denied.status, denied.text().as_str()), (403, "by rules"));
    assert_eq!((denied.header("x-why"), denied.header("x-user")), (Some("rules"), None));
    let cookies = denied.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!(cookies, 2);
    let asked = asking.asked_by_http();
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("PUT", "12345678"));
    assert_eq!(asked.header("x-envoy-auth-partial-body"), "true");
    assert_eq!(asked.header("content-length"), "8");

    let login = asking.call("/echo", "login", &[]).await;
    let location = Some("https://login.example/");
    assert_eq!((login.status, login.header("location")), (302, location));
    let head = asking.world.client.http().await;
    let mut head = head;
    let target = "http://web/echo";
    head.send(format!("HEAD {target} HTTP/1.1\r\nhost: web\r\nx-ask: deny\r\n\r\n")).await;
    assert_eq!(head.try_response("HEAD").await.unwrap().status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_outside_the_mesh_is_asked_in_plaintext() {
    let asking = Asking::start().await;
    asking.asks("http-plain", paths(&["/echo"])).await;
    let allowed = asking.call("/echo", "allow", &[("x-user", "caller"), ("x-secret", "s")]).await;
    assert_eq!((allowed.status, allowed.header("x-why")), (200, None));
    assert_eq!(
        (seen(&allowed, "x-user"), seen(&allowed, "x-secret")),
        ("caller".into(), "".into())
    );
    assert_eq!(asking.asked_by_http().target, "/echo");
    // Without a list callers get all.
    let denied = asking.call("/echo", "deny", &[]).await;
    assert_eq!((denied.status, denied.text().as_str()), (403, "by rules"));
    assert_eq!((denied.header("x-why"), denied.header("x-user")), (Some("rules"), Some("ann")));
}
