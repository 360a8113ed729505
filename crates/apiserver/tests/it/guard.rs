//! Who may ask, and under which name.

use http::{Method, StatusCode};
use http_body_util::Full;
use meltemi_apiserver::{AdminToken, Hosts};

use crate::server::{SERVICES, Server, read, service};

async fn ask(server: &Server, path: &str, host: &str, token: Option<&str>) -> StatusCode {
    let mut request = http::Request::builder().method(Method::GET).uri(path).header("host", host);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    server.send(request.body(Full::default()).unwrap()).await.status()
}

#[tokio::test]
async fn reads_and_writes_need_the_token() {
    let server = Server::start_with(|state| state.with_auth(AdminToken::new("s3cret"))).await;
    for path in [SERVICES, "/api", "/apis", "/openapi/v2", "/api/v1/namespaces/default/secrets"] {
        assert_eq!(ask(&server, path, "localhost", None).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(ask(&server, path, "localhost", Some("wrong!")).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&server, path, "localhost", Some("s3cret")).await, StatusCode::OK, "{path}");
    }
    for path in ["/healthz", "/readyz", "/livez", "/version"] {
        assert_eq!(ask(&server, path, "localhost", None).await, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn nobody_asks_in_anothers_name() {
    let server = Server::start_with(|state| state.with_auth(AdminToken::new("s3cret"))).await;
    let path = format!("{SERVICES}/web");
    server.create_as("s3cret", SERVICES, &service("web", "a")).await;
    for header in
        ["Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-scopes"]
    {
        for (method, path) in [
            (Method::GET, SERVICES),
            (Method::GET, "/api"),
            (Method::GET, "/version"),
            (Method::GET, "/meltemi/v1/rejected"),
            (Method::DELETE, &path),
        ] {
            let request = server
                .request(method, path)
                .header("authorization", "Bearer s3cret")
                .header(header, "viewer");
            let (status, answer) =
                read(server.send(request.body(Full::default()).unwrap()).await).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{header} {path}: {answer}");
            assert_eq!(
                (&answer["kind"], &answer["reason"]),
                (&"Status".into(), &"Forbidden".into())
            );
            let told = answer["message"].as_str().unwrap();
            assert!(told.contains("impersonation is not supported"), "{told}");
        }
    }
    assert_eq!(
        ask(&server, &path, "localhost", Some("s3cret")).await,
        StatusCode::OK,
        "it is there still"
    );
}

#[tokio::test]
async fn foreign_hosts_are_turned_away() {
    let server =
        Server::start_with(|state| state.with_hosts(Hosts::new(["mesh.example.com"]))).await;
    for path in [SERVICES, "/healthz"] {
        assert_eq!(ask(&server, path, "evil.example.com", None).await, StatusCode::FORBIDDEN);
        assert_eq!(ask(&server, path, "mesh.example.com:443", None).await, StatusCode::OK);
        assert_eq!(ask(&server, path, "127.0.0.1", None).await, StatusCode::OK);
    }
}

/// No page of another site frames an answer, has another type guessed of it, or reads it.
#[tokio::test]
async fn every_answer_is_data_alone_to_browsers() {
    let server = Server::start_with(|state| state.with_auth(AdminToken::new("s3cret"))).await;
    for (method, path, host, token, expected) in [
        (Method::GET, SERVICES, "localhost", "s3cret", StatusCode::OK),
        (Method::GET, SERVICES, "localhost", "wrong", StatusCode::UNAUTHORIZED),
        (Method::GET, SERVICES, "evil.example.com", "s3cret", StatusCode::FORBIDDEN),
        (Method::GET, "/healthz", "localhost", "", StatusCode::OK),
        // What a browser asks before it sends what a form could not.
        (Method::OPTIONS, SERVICES, "localhost", "", StatusCode::UNAUTHORIZED),
    ] {
        let request = http::Request::builder().method(method).uri(path).header("host", host);
        let request = request
            .header("authorization", format!("Bearer {token}"))
            .header("origin", "http://evil.example.com")
            .header("access-control-request-method", "DELETE");
        let response = server.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), expected, "{path}");
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("x-frame-options"), Some("DENY"));
        let policy = header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let mut names = response.headers().keys();
        assert!(!names.any(|name| name.as_str().starts_with("access-control-")), "{path}");
    }
}
