use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

struct Served {
    panel: Arc<Panel>,
    ready: watch::Sender<Ready>,
    tasks: JoinSet<()>,
}

impl Served {
    fn new() -> Served {
        let (ready, news) = watch::channel(Err("no certificate".to_owned()));
        let panel = Arc::new(Panel::new(Arc::new(Metrics::new(1)), news));
        Served { panel, ready, tasks: JoinSet::new() }
    }

    fn listen(&mut self, role: Role) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        self.tasks.spawn(serve(listener, role, self.panel.clone()).unwrap());
        address
    }
}

/// Sends a request and gives the answer, head and body.
async fn ask(to: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_follows_the_proxy_from_its_start_to_its_drain() {
    let mut served = Served::new();
    let health = served.listen(Role::Health);
    let starting = ask(health, "GET", "/healthz/ready", "").await;
    assert!(starting.starts_with("HTTP/1.1 503") && starting.ends_with("no certificate\n"));
    assert!(ask(health, "GET", "/healthz/live", "").await.starts_with("HTTP/1.1 200"));
    served.ready.send(Ok(())).unwrap();
    assert!(ask(health, "GET", "/healthz/ready", "").await.starts_with("HTTP/1.1 200"));
    served.panel.drain();
    let draining = ask(health, "GET", "/healthz/ready", "").await;
    assert!(draining.starts_with("HTTP/1.1 503") && draining.ends_with("draining\n"));
}

#[tokio::test]
async fn each_listener_has_its_own_pages_and_no_more() {
    let mut served = Served::new();
    let roles = [Role::Admin, Role::Metrics, Role::Health].map(|role| served.listen(role));
    for (path, expected) in [
        ("/", ["200", "404", "404"]),
        ("/stats/prometheus", ["200", "200", "404"]),
        ("/metrics", ["200", "200", "404"]),
        ("/healthz/live", ["200", "404", "200"]),
        ("/ready", ["503", "404", "404"]),
        ("/config_dump", ["503", "404", "404"]),
        ("/certs", ["503", "404", "404"]),
        ("/none", ["404", "404", "404"]),
    ] {
        for (to, code) in roles.into_iter().zip(expected) {
            let answer = ask(to, "GET", path, "").await;
            assert_eq!(answer.split(' ').nth(1), Some(code), "{path} {answer}");
        }
    }
    assert!(ask(roles[1], "POST", "/metrics", "").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn metrics_come_in_the_dialect_that_is_asked_for() {
    let mut served = Served::new();
    let metrics = served.listen(Role::Metrics);
    let plain = ask(metrics, "GET", "/stats/prometheus", "").await;
    assert!(plain.contains("content-type: text/plain; version=0.0.4"), "{plain}");
    assert!(plain.contains("meltemi_metrics_overflows_total 0"), "{plain}");
    let open = "accept: application/openmetrics-text\r\n";
    let open = ask(metrics, "GET", "/metrics", open).await;
    assert!(open.contains("content-type: application/openmetrics-text"), "{open}");
    assert!(open.contains("# EOF"), "{open}");
}

#[tokio::test]
async fn web_pages_neither_end_a_proxy_nor_look_into_it() {
    let mut served = Served::new();
    let admin = served.listen(Role::Admin);
    let quit = served.panel.quit();
    for (method, headers, code) in [
        ("GET", "", "405"),
        ("POST", "origin: http://evil.example\r\n", "403"),
        ("POST", "", "200"),
    ] {
        let answer = ask(admin, method, "/quitquitquit", headers).await;
        assert_eq!(answer.split(' ').nth(1), Some(code), "{answer}");
    }
    quit.notified().await;
    // Neither to end it nor to look into it.
    for line in ["POST /quitquitquit", "GET /config_dump", "GET /certs"] {
        let mut rebound = TcpStream::connect(admin).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        rebound.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        rebound.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{line}: {answer}");
    }
}
