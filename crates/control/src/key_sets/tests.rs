//! The keeper over real sockets: what the follower is told as issuers change, fail and come back.

use meltemi_names::TrustDomain;
use tempfile::TempDir;

use super::fetch::tests::{KEYS, Server, ok};
use super::*;

const OTHER: &str =
    r#"{"keys":[{"crv":"Ed25519","kty":"OKP","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}]}"#;
const REFRESH: Duration = Duration::from_millis(20);

struct World {
    news: KeyNews,
    running: tokio::task::JoinHandle<()>,
    figures: Arc<KeyFigures>,
}

impl World {
    fn start(dir: &TempDir) -> World {
        let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
        let mut options = Options::new(dir.path(), trust_domain);
        options.jwks_allow = vec!["127.0.0.1".parse().unwrap()];
        options.jwks_refresh = REFRESH;
        let (key_sets, news) = KeySets::open(&options, dir.path());
        let figures = key_sets.figures();
        World { news, running: tokio::spawn(key_sets.run()), figures }
    }

    fn want(&self, sources: &[&KeySource]) {
        let timeout = Duration::from_secs(20);
        self.news.wanted.send_replace(sources.iter().map(|it| ((*it).clone(), timeout)).collect());
    }

    async fn next(&mut self) -> FetchedKeys {
        let next = tokio::time::timeout(Duration::from_secs(30), self.news.found.recv()).await;
        next.expect("news in time").expect("the keeper runs").1
    }

    async fn stop(self) {
        drop(self.news);
        self.running.await.unwrap();
    }
}

fn set(keys: &str) -> FetchedKeys {
    FetchedKeys::Set(keys.into())
}

fn refused() -> Vec<u8> {
    b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n".to_vec()
}

#[tokio::test]
async fn keys_are_fetched_again_and_the_last_good_ones_stay() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let source = KeySource::Uri(server.uri("/keys").as_str().into());
    server.answer("/keys", refused());
    let mut world = World::start(&dir);
    world.want(&[&source]);
    let FetchedKeys::Failed(why) = world.next().await else { panic!("nothing could be fetched") };
    assert!(why.contains("answered 503"), "{why}");
    let figures = world.figures.clone();
    let of = |figure: &AtomicU64| figure.load(Relaxed);
    assert_eq!((of(&figures.missing), of(&figures.fetched)), (1, 0));
    assert!(of(&figures.failed) > 0);
    // After each failure it is told again, until it works.
    server.answer("/keys", ok(KEYS));
    while world.next().await != set(KEYS) {}
    server.answer("/keys", ok(OTHER));
    assert!(of(&figures.fetched) > 0);
    assert_eq!(world.next().await, set(OTHER));
    // Errors are not told while there are keys: the next news are the next keys.
    server.answer("/keys", refused());
    let before = server.seen();
    while server.seen() < before + 3 {
        tokio::task::yield_now().await;
    }
    server.answer("/keys", ok(KEYS));
    assert_eq!(world.next().await, set(KEYS));
    // An issuer that has taken all of its keys back has said so.
    server.answer("/keys", ok("{\"keys\":[]}"));
    assert_eq!(world.next().await, set("{\"keys\":[]}"));
    world.stop().await;
    assert_eq!(of(&figures.missing), 0);
    let world = World::start(&dir);
    assert_eq!(world.news.kept, [(source, set("{\"keys\":[]}"))]);
    world.stop().await;
}

#[tokio::test]
async fn fetched_keys_outlive_a_restart() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let uri = KeySource::Uri(server.uri("/keys").as_str().into());
    let issuer = KeySource::Issuer(server.uri("").as_str().into());
    server.answer("/keys", ok(KEYS));
    let about = serde_json::json!({"issuer": server.uri(""), "jwks_uri": server.uri("/keys")});
    server.answer("/.well-known/openid-configuration", ok(&about.to_string()));
    let mut world = World::start(&dir);
    assert_eq!(world.news.kept, []);
    world.want(&[&uri, &issuer]);
    assert_eq!([world.next().await, world.next().await], [set(KEYS), set(KEYS)]);
    world.stop().await;

    drop(server);
    let mut world = World::start(&dir);
    assert_eq!(world.news.kept, [(uri.clone(), set(KEYS)), (issuer, set(KEYS))]);
    // They are told again, as the rule may have been away; what nobody wants is forgotten.
    world.want(&[&uri]);
    assert_eq!(world.next().await, set(KEYS));
    world.stop().await;
    let world = World::start(&dir);
    assert_eq!(world.news.kept, [(uri, set(KEYS))]);
    world.stop().await;

    std::fs::write(dir.path().join("key-sets.json"), "{").unwrap();
    let world = World::start(&dir);
    assert_eq!(world.news.kept, []);
    world.stop().await;
}
