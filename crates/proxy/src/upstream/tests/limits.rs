use std::sync::Arc;

use super::direct::{hello, route, worker};
use super::*;
use crate::listen::alpn::Inner;
use crate::upstream::admit::{Entry, Lease, Waited, enter};

#[tokio::test]
async fn beyond_connections_and_waiting_requests_calls_fail_at_once() {
    let server = Server::start_closed().await;
    let pool = json!({"connectionPool": {
        "tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1},
    }});
    let proxy = Arc::new(proxy(&server, Protocol::Http, pool).await);
    // One is served, one waits, one is too many, whichever it is: only that one ends while the server is silent.
    let mut all = together(&proxy, 3).await;
    let first = soon("a refusal", all.join_next()).await.unwrap().unwrap();
    assert_eq!(first.status, 503);
    assert!(first.head.contains("x-envoy-overloaded: true"), "{}", first.head);
    assert!(first.body.contains("outbound|80||web.default.svc"), "{}", first.body);
    server.answer(2);
    while let Some(served) = soon("an answer", all.join_next()).await {
        assert_eq!(served.unwrap().status, 200);
    }
    assert_eq!(server.opened(), 1, "the one that waited took the connection of the other");
    server.answer(1);
    assert_eq!(get(&proxy).await.status, 200, "there is room again");
}

#[tokio::test]
async fn who_waits_for_a_connection_gets_leave_when_another_ends() {
    let server = Server::start_closed().await;
    let pool = json!({"connectionPool": {
        "tcp": {"maxConnections": 1}, "http": {"maxRequestsPerConnection": 1},
    }});
    let proxy = Arc::new(proxy(&server, Protocol::Http, pool).await);
    let mut all = together(&proxy, 4).await;
    server.answer(4);
    while let Some(served) = soon("an answer", all.join_next()).await {
        assert_eq!(served.unwrap().status, 200);
    }
    assert_eq!(server.opened(), 4);
}

#[tokio::test]
async fn a_waiting_request_ends_with_its_caller() {
    let server = Server::start_closed().await;
    let pool = json!({"connectionPool": {
        "tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1},
    }});
    let proxy = Arc::new(proxy(&server, Protocol::Http, pool).await);
    let mut all = together(&proxy, 3).await;
    assert_eq!(soon("a refusal", all.join_next()).await.unwrap().unwrap().status, 503);
    // Both callers go away: neither connection nor place in the queue may stay taken.
    all.shutdown().await;
    server.answer(8);
    let next = async {
        while get(&proxy).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon("room", next).await;
}

#[tokio::test]
async fn http_2_has_its_limits_too() {
    let upgrade = |tcp: Value| {
        json!({"connectionPool": {
            "tcp": tcp, "http": {"h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 1},
        }})
    };
    for (tcp, connections) in [(json!({}), 3), (json!({"maxConnections": 1}), 1)] {
        let server = Server::start_closed().await;
        let proxy = Arc::new(proxy(&server, Protocol::Http, upgrade(tcp)).await);
        let mut all = together(&proxy, 3).await;
        if connections == 3 {
            let all_there = async {
                while server.opened() < 3 {
                    tokio::task::yield_now().await;
                }
            };
            soon("three connections", all_there).await;
        }
        server.answer(3);
        while let Some(served) = soon("an answer", all.join_next()).await {
            let served = served.unwrap();
            assert_eq!((served.status, &*served.body), (200, "HTTP/2.0 http sni= cert=no"));
        }
        assert_eq!(server.opened(), connections);
    }
}

#[tokio::test]
async fn http_2_requests_beyond_the_waiting_ones_fail_at_once() {
    let server = Server::start_closed().await;
    let pool = json!({"connectionPool": {
        "tcp": {"maxConnections": 1},
        "http": {
            "h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 1, "http1MaxPendingRequests": 1,
        },
    }});
    let proxy = Arc::new(proxy(&server, Protocol::Http, pool).await);
    let mut all = together(&proxy, 3).await;
    let first = soon("a refusal", all.join_next()).await.unwrap().unwrap();
    assert_eq!(first.status, 503);
    assert!(first.head.contains("x-envoy-overloaded: true"), "{}", first.head);
    server.answer(2);
    while let Some(served) = soon("an answer", all.join_next()).await {
        assert_eq!(served.unwrap().status, 200);
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_as_it_may() {
    for (rule, expected) in [
        (json!({}), 1),
        (json!({"maxRequestsPerConnection": 1}), 4),
        (json!({"maxRequestsPerConnection": 2}), 2),
        (json!({"h2UpgradePolicy": "UPGRADE"}), 1),
        (json!({"maxRequestsPerConnection": 2, "h2UpgradePolicy": "UPGRADE"}), 2),
    ] {
        let server = Server::start(None).await;
        let pool = json!({"connectionPool": {"http": rule}});
        let proxy = proxy(&server, Protocol::Http, pool).await;
        for _ in 0..4 {
            assert_eq!(get(&proxy).await.status, 200);
        }
        assert_eq!(server.opened(), expected, "{rule}");
    }
}

#[tokio::test]
async fn the_time_to_connect_is_the_rules() {
    // It takes connections and says nothing, so that TLS is never there.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let policy = json!({
        "connectionPool": {"tcp": {"connectTimeoutMs": 30}},
        "tls": {"mode": "SIMPLE", "insecureSkipVerify": true},
    });
    let world = World::default().service("web", 80, Protocol::Http, port).called("web", policy);
    let proxy = world.start(&[("web", 80)]).await;
    let answered = get(&proxy).await;
    assert_eq!(answered.status, 503);
    assert!(answered.body.contains("no connection within 30ms"), "{}", answered.body);
}

#[tokio::test]
async fn the_proxy_protocol_is_spoken_before_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let policy = json!({"proxyProtocol": "V1"});
    let world = World::default().service("web", 80, Protocol::Http, port).called("web", policy);
    let proxy = world.start(&[("web", 80)]).await;
    let mut caller = proxy.connect("web", 80).await;
    ask(&mut caller, "close").await;
    let (mut stream, from) = soon("a connection", listener.accept()).await.unwrap();
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\nGET / ", from.port());
    let mut bytes = vec![0; expected.len()];
    soon("the header", stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[tokio::test]
async fn leave_that_one_worker_gives_back_goes_to_one_of_another() {
    let pool = json!({"connectionPool": {"tcp": {"maxConnections": 1}}});
    let route = route(&hello(80, None, Some(pool), &[]), Inner::Http1);
    let ((one, _), (other, _)) = (worker(), worker());
    let open = |entry: Entry<'_>| -> Option<Lease> {
        match entry {
            Entry::Open(lease) => Some(lease.expect("it is limited")),
            Entry::Full(_) => None,
        }
    };
    let first = open(enter(&one, &route)).expect("there is none yet");
    let own = open(enter(&other, &route)).expect("a worker without a connection gets one");
    assert!(open(enter(&other, &route)).is_none());
    let Entry::Full(full) = enter(&other, &route) else { panic!("it has one") };
    let (waited, ()) = tokio::join!(soon("leave", full.wait()), async { drop(first) });
    assert!(matches!(waited, Ok(Waited::Lease(_))));
    drop((waited, own));
    assert!(open(enter(&one, &route)).is_some(), "all was given back");
}

#[tokio::test]
async fn a_retry_takes_the_only_connection_that_there_may_be() {
    let port = world::app(|mut stream| async move {
        let mut answers = ["503 Service Unavailable", "200 OK"].iter();
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await? > 0 {
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                let status = answers.next().expect("one retry");
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await?;
            }
        }
        Ok(())
    })
    .await;
    let policy = json!({"connectionPool": {"tcp": {"maxConnections": 1}}});
    let world = World::default().service("web", 80, Protocol::Http, port).called("web", policy);
    let proxy = world.start(&[("web", 80)]).await;
    assert_eq!(get(&proxy).await.status, 200);
}
