//! How long connections are kept, by moments that the tests make up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::direct::{hello, route, worker};
use super::server::Server;
use crate::io::{Io, Stream};
use crate::listen::alpn::Inner;
use crate::upstream::h1::Connection;
use crate::upstream::h2::share;
use crate::upstream::pool::Pool;
use crate::upstream::route::Route;

const SECOND: Duration = Duration::from_secs(1);

/// A connection by HTTP/1.1, and its other end.
async fn connection(route: &Route, born: Instant) -> (Box<Connection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let io = Io::new(Stream::Tcp(near));
    (Box::new(Connection::new(io, born, route.origination(), None)), far)
}

fn way(policy: Option<Value>) -> Route {
    route(&hello(80, None, policy, &[]), Inner::Http1)
}

/// Whether a connection that was made at `born` and has idled since `rested` still serves at `asked`.
async fn serves(policy: Option<Value>, rested: Duration, asked: Duration) -> bool {
    let (route, pool, born) = (way(policy), Pool::default(), Instant::now());
    let (connection, _far) = connection(&route, born).await;
    let key = route.key().unwrap();
    pool.put(&route, connection, born + rested);
    pool.take(key, born + asked, false).is_some()
}

#[tokio::test]
async fn a_connection_idles_no_longer_than_the_rule_says() {
    let zero = Duration::ZERO;
    assert!(serves(None, zero, 3 * SECOND).await, "as long as servers usually wait");
    for part in ["http", "tcp"] {
        let policy = || Some(json!({"connectionPool": {part: {"idleTimeoutMs": 2000}}}));
        assert!(serves(policy(), zero, SECOND).await);
        assert!(serves(policy(), 9 * SECOND, 10 * SECOND).await);
        assert!(!serves(policy(), zero, 3 * SECOND).await);
    }
}

#[tokio::test]
async fn a_connection_lives_no_longer_than_the_rule_says() {
    let policy = || Some(json!({"connectionPool": {"tcp": {"maxConnectionDurationMs": 10_000}}}));
    assert!(serves(None, 11 * SECOND, 12 * SECOND).await);
    assert!(serves(policy(), 8 * SECOND, 9 * SECOND).await);
    assert!(!serves(policy(), 8 * SECOND, 11 * SECOND).await, "it was put back in time");
    assert!(!serves(policy(), 11 * SECOND, 11 * SECOND).await);
}

#[tokio::test]
async fn connections_go_with_their_rule() {
    let keepalive = json!({"connectionPool": {"tcp": {"tcpKeepalive": {"timeMs": 7000}}}});
    for (policy, stays) in [(None, true), (Some(keepalive), false)] {
        let (route, pool, now) = (way(policy), Pool::default(), Instant::now());
        let (connection, _far) = connection(&route, now).await;
        let (key, _endpoint) = (route.key().unwrap(), route.endpoint().cloned());
        pool.put(&route, connection, now);
        pool.drop_gone();
        // What is left of the cluster is the endpoint.
        drop(route);
        pool.drop_gone();
        assert_eq!(pool.take(key, now, false).is_some(), stays);
    }
}

#[tokio::test]
async fn the_same_endpoint_under_other_rules_has_other_connections() {
    let service = hello(80, None, Some(json!({"tls": {"mode": "DISABLE"}})), &[]);
    let plain = way(None).key().unwrap();
    let ruled = route(&service, Inner::Http1).key().unwrap();
    assert_ne!(plain, ruled);
    assert_eq!(ruled, route(&service, Inner::Http1).key().unwrap());
}

#[tokio::test]
async fn a_connection_of_http_2_without_requests_is_closed_in_time() {
    for (http, stays) in [(json!({}), true), (json!({"idleTimeoutMs": 2000}), false)] {
        let server = Server::start(None).await;
        let policy = json!({"connectionPool": {"http": http}});
        let (worker, _) = worker();
        let route = route(&hello(server.port, None, Some(policy), &[]), Inner::Http2);
        let (now, local) = (Instant::now(), LocalSet::new());
        let shared = async || share(&worker, &route).await.unwrap();
        local
            .run_until(async {
                let first = shared().await;
                let stream = first.stream();
                worker.pool.sweep(now);
                worker.pool.sweep(now + 3 * SECOND);
                assert!(first.is(&shared().await), "it carries a request, so it stays");
                drop(stream);
                worker.pool.sweep(now + 4 * SECOND);
                worker.pool.sweep(now + 5 * SECOND);
                assert!(first.is(&shared().await));
                worker.pool.sweep(now + 7 * SECOND);
                assert_eq!(first.is(&shared().await), stays);
            })
            .await;
    }
}
