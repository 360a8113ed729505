//! Authorizers that cannot be asked: requests are refused, or pass where the provider says so.

use serde_json::json;

use super::{Asking, custom, paths};

/// Fields: AuthorizationPolicy spec.provider.name
#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_requests_are_refused_unless_the_provider_fails_open() {
    let asking = Asking::start().await;
    for (provider, ask, expected) in [
        ("grpc", "fail", 403),
        ("grpc-open", "fail", 200),
        ("grpc-open", "deny", 401),
        ("quick", "hang", 504),
        ("quick-open", "hang", 200),
        // Its namespace is another one, it is in no registry, no settings name it.
        ("grpc-elsewhere", "allow", 403),
        ("nowhere", "allow", 503),
        ("unknown", "allow", 403),
        ("http", "fail", 403),
    ] {
        asking.asks(provider, paths(&["/a"])).await;
        let response = asking.call("/a", ask, &[]).await;
        assert_eq!(response.status, expected, "{provider} {ask}: {}", response.text());
        assert_eq!(asking.call("/b", ask, &[]).await.status, 200, "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_that_is_gone_lets_nothing_pass() {
    let mut asking = Asking::start().await;
    asking.asks("grpc", paths(&["/a"])).await;
    assert_eq!(asking.call("/a", "allow", &[]).await.status, 200);
    let mut sidecar = asking.grpc_sidecar.take().unwrap();
    sidecar.process.kill().await;
    assert_eq!(asking.call("/a", "allow", &[]).await.status, 403);
    asking.asks("grpc-open", paths(&["/a"])).await;
    assert_eq!(asking.call("/a", "allow", &[]).await.status, 200);
}

/// Istio asks nobody where the policies of a workload name several.
#[tokio::test(flavor = "multi_thread")]
async fn several_providers_of_one_workload_are_none() {
    let asking = Asking::start().await;
    let both = [custom("grpc", paths(&["/a"])), custom("http", paths(&["/b"]))];
    asking.world.specs(&both).await;
    for (path, expected) in [("/a", 403), ("/b", 403), ("/c", 200)] {
        assert_eq!(asking.call(path, "allow", &[]).await.status, expected, "{path}");
    }
    assert!(asking.grpc.asked().is_empty() && asking.http.asked().is_empty());
}

/// Its own questions would be asked about, and theirs, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_is_not_asked_about_questions_to_itself() {
    let asking = Asking::start().await;
    let everywhere = json!({"action": "CUSTOM", "provider": {"name": "grpc"}, "rules": [{}]});
    asking.world.specs(&[everywhere]).await;
    let sidecar = asking.grpc_sidecar.as_ref().unwrap();
    super::super::arrived(sidecar, &["default/p000-0".to_owned()]).await;
    assert_eq!(asking.call("/a", "allow", &[]).await.status, 403);
    assert!(asking.grpc.asked().is_empty());
}
