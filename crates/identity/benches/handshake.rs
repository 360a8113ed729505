//! What a handshake between two sidecars costs: `cargo bench -p meltemi-identity --bench handshake`.
//!
//! Both ends run in this thread, over memory, with the very configurations of the mesh: TLS 1.3, an ECDSA P-256 SVID each,
//! both chains verified. The bytes go by hand, so that each end's time is counted for itself. The key exchanges are then
//! measured alone, since the post-quantum part of the default one is paid by nothing else.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meltemi_identity::ca::Authority;
use meltemi_identity::{AlpnPlan, Identity, Svid, csr, key};
use rustls::client::Resumption;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, ServerConfig, ServerConnection,
};
use rustls_pki_types::ServerName;

const HANDSHAKES: u32 = 500;
const ROUNDS: usize = 7;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// How long each end was busy.
#[derive(Clone, Copy, Default)]
struct Cost {
    client: Duration,
    server: Duration,
    /// Bytes on the way, both directions.
    bytes: usize,
}

fn identity(authority: &Authority, account: &str) -> Fallible<Identity> {
    let id = format!("spiffe://{}/ns/default/sa/{account}", authority.trust_domain()).parse()?;
    let key = key::generate()?;
    let request = csr::create(&key, &id)?;
    let day = Duration::from_secs(86_400);
    let chain = authority.sign(&request, &id, day, SystemTime::now())?;
    let svid = Svid::from_pem(&chain.concat(), &key.to_pem())?;
    let alpn = vec![b"meltemi-h2".to_vec()];
    let plan = AlpnPlan { server: alpn.clone(), clients: vec![alpn] };
    Ok(Identity::new(svid, authority.bundle(), plan)?)
}

/// Does something and adds the time that it took.
fn timed<T>(busy: &mut Duration, what: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = what();
    *busy += began.elapsed();
    done
}

/// What an end has to say now.
fn say<S>(end: &mut ConnectionCommon<S>, busy: &mut Duration) -> Fallible<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    timed(busy, || {
        while end.wants_write() {
            end.write_tls(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn hear<S>(end: &mut ConnectionCommon<S>, mut bytes: &[u8], busy: &mut Duration) -> Fallible<()> {
    timed(busy, || {
        while !bytes.is_empty() {
            end.read_tls(&mut bytes)?;
            end.process_new_packets()?;
        }
        Ok(())
    })
}

/// Runs one handshake to its end, tickets included.
fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    expected: HandshakeKind,
    cost: &mut Cost,
) -> Fallible<()> {
    let name = ServerName::try_from("outbound_.80_._.hello.default.svc.cluster.local")?;
    let made = timed(&mut cost.client, || ClientConnection::new(client.clone(), name));
    let mut client = made?;
    let mut server = timed(&mut cost.server, || ServerConnection::new(server.clone()))?;
    loop {
        let said = say(&mut client, &mut cost.client)?;
        hear(&mut server, &said, &mut cost.server)?;
        let answered = say(&mut server, &mut cost.server)?;
        hear(&mut client, &answered, &mut cost.client)?;
        cost.bytes += said.len() + answered.len();
        if said.is_empty() && answered.is_empty() {
            break;
        }
    }
    let kinds = (client.handshake_kind(), server.handshake_kind());
    if kinds != (Some(expected), Some(expected)) {
        return Err(format!("{kinds:?} instead of {expected:?}").into());
    }
    Ok(())
}

/// The best of some rounds of one kind of handshake.
fn best(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    kind: HandshakeKind,
) -> Fallible<Cost> {
    let mut best: Option<Cost> = None;
    for _ in 0..ROUNDS {
        let mut cost = Cost::default();
        for _ in 0..HANDSHAKES {
            handshake(client, server, kind, &mut cost)?;
        }
        let busy = |cost: &Cost| cost.client + cost.server;
        if best.as_ref().is_none_or(|best| busy(&cost) < busy(best)) {
            best = Some(cost);
        }
    }
    let Some(Cost { client, server, bytes }) = best else { return Err("no round".into()) };
    Ok(Cost {
        client: client / HANDSHAKES,
        server: server / HANDSHAKES,
        bytes: bytes / HANDSHAKES as usize,
    })
}

fn print(what: &str, cost: Cost) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let rate = |time: Duration| 1.0 / time.as_secs_f64();
    println!(
        "{what:<24} caller {:>6.1} us, called {:>6.1} us, {:>5} bytes; a core makes {:>6.0}/s as called end, {:>6.0}/s as both",
        micros(cost.client),
        micros(cost.server),
        cost.bytes,
        rate(cost.server),
        rate(cost.client + cost.server)
    );
}

/// Time of both ends for one key exchange, and the bytes of both shares.
fn exchange(group: &'static dyn SupportedKxGroup) -> Fallible<(Duration, usize)> {
    let mut best = Duration::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..HANDSHAKES {
            let caller = group.start()?;
            let called = group.start_and_complete(caller.pub_key())?;
            bytes = caller.pub_key().len() + called.pub_key.len();
            black_box(caller.complete(&called.pub_key)?);
        }
        best = best.min(began.elapsed() / HANDSHAKES);
    }
    Ok((best, bytes))
}

fn main() -> Fallible<()> {
    let dir = tempfile::tempdir()?;
    let authority =
        Authority::open_or_create(dir.path(), "cluster.local".parse()?, SystemTime::now())?;
    let (caller, called) = (identity(&authority, "web")?, identity(&authority, "hello")?);
    let (caller, called) = (caller.tls(), called.tls());
    let client = |sessions: Resumption| {
        let mut config = ClientConfig::clone(&caller.clients[0]);
        config.resumption = sessions;
        Arc::new(config)
    };
    let full = client(Resumption::disabled());
    print("full, mutual", best(&full, &called.server, HandshakeKind::Full)?);

    let resuming = client(Resumption::in_memory_sessions(8));
    handshake(&resuming, &called.server, HandshakeKind::Full, &mut Cost::default())?;
    print("resumed", best(&resuming, &called.server, HandshakeKind::Resumed)?);

    for group in [X25519, SECP256R1, X25519MLKEM768] {
        let (time, bytes) = exchange(group)?;
        let micros = time.as_secs_f64() * 1e6;
        println!(
            "key exchange {:<15} both ends {micros:>6.1} us, {bytes:>5} bytes",
            format!("{:?}", group.name())
        );
    }
    Ok(())
}
