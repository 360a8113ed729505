//! Names that are not the mesh's, put to resolvers that behave well and badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use meltemi_dns::{Config, Limits, Patience, Server, Upstreams};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::client::{ask, ask_tcp, exchange_udp, question, question_with_edns, receive, told};
use crate::mesh::{ANY, HELLO, Mesh, config, serve};
use crate::upstream::{Upstream, answer, reply};

/// Short, where a resolver is meant to be silent.
const SHORT: Duration = Duration::from_millis(200);

fn asking(upstreams: &[&Upstream]) -> Config {
    let addresses = upstreams.iter().map(|upstream| upstream.address).collect();
    Config { upstreams: Upstreams::Fixed(addresses), ..config() }
}

fn impatient(upstreams: &[&Upstream]) -> Config {
    let patience = Patience { per_resolver: SHORT, ..Patience::default() };
    Config { patience, ..asking(upstreams) }
}

fn failed() -> (ResponseCode, Vec<String>) {
    (ResponseCode::ServFail, vec![])
}

fn found(ip: &str) -> (ResponseCode, Vec<String>) {
    (ResponseCode::NoError, vec![ip.into()])
}

#[tokio::test]
async fn replies_come_through_unharmed() {
    let kind = RecordType::Unknown(65280);
    let way = move |question: &Message| {
        let mut reply = reply(question, ResponseCode::NoError);
        let name = question.queries[0].name().to_lowercase();
        reply.queries[0].set_name(name.clone());
        let data = RData::Unknown { code: kind, rdata: NULL::with(vec![0xc0, 0x0c, 1, 2]) };
        reply.add_answer(Record::from_rdata(name, 77, data));
        vec![reply.to_vec().unwrap()]
    };
    let upstream = Upstream::with(way, way).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    // The client checks identifier, RA and the case of the name, which this resolver folds.
    for asked in
        [question("WwW.example.ORG.", kind), question_with_edns("wWw.example.org.", kind, 1232)]
    {
        for reply in [ask(server.address(), &asked).await, ask_tcp(server.address(), &asked).await]
        {
            let RData::Unknown { rdata, .. } = &reply.answers[0].data else { panic!("{reply}") };
            assert_eq!(rdata.anything, [0xc0, 0x0c, 1, 2]);
            assert_eq!(reply.answers[0].ttl, 77);
            assert_eq!(reply.edns.is_some(), asked.edns.is_some());
            assert!(!reply.metadata.authoritative);
        }
    }
    assert_eq!(upstream.count(), (4, 0));
}

#[tokio::test]
async fn names_of_the_mesh_stay_here() {
    let upstream = Upstream::answering([192, 0, 2, 1]).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    for name in [HELLO, "hello", "nosuch.default.svc.cluster.local", "localhost"] {
        ask(server.address(), &question(&format!("{name}."), RecordType::A)).await;
    }
    assert_eq!(upstream.count(), (0, 0));
    let reply = ask(server.address(), &question("nosuch.", RecordType::A)).await;
    assert_eq!(told(&reply), found("192.0.2.1"));
}

#[tokio::test]
async fn a_silent_resolver_costs_its_time_once() {
    let silent = Upstream::silent().await;
    let good = Upstream::answering([192, 0, 2, 2]).await;
    let mut config = impatient(&[&silent, &good]);
    // Enough for the good one on a busy machine.
    config.patience.per_resolver = Duration::from_millis(800);
    let server = serve(config, &Mesh::new()).await;
    for _ in 0..3 {
        let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
        assert_eq!(told(&reply), found("192.0.2.2"));
    }
    assert_eq!(silent.count(), (1, 0));
    assert_eq!(good.count(), (3, 0));
}

#[tokio::test]
async fn a_resolver_that_fails_or_is_not_there_is_passed_over() {
    let gone = {
        let socket = UdpSocket::bind(ANY).await.unwrap();
        socket.local_addr().unwrap()
    };
    let failing = Upstream::failing(ResponseCode::ServFail).await;
    let refusing = Upstream::failing(ResponseCode::Refused).await;
    let good = Upstream::answering([192, 0, 2, 3]).await;
    let mut config = asking(&[&failing, &refusing, &good]);
    let Upstreams::Fixed(addresses) = &mut config.upstreams else { unreachable!() };
    addresses.insert(0, gone);
    let server = serve(config, &Mesh::new()).await;
    let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), found("192.0.2.3"));
    assert_eq!((failing.count(), refusing.count(), good.count()), ((1, 0), (1, 0), (1, 0)));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_answer() {
    let first = Upstream::failing(ResponseCode::NXDomain).await;
    let second = Upstream::answering([192, 0, 2, 3]).await;
    let server = serve(asking(&[&first, &second]), &Mesh::new()).await;
    let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), (ResponseCode::NXDomain, vec![]));
    assert_eq!(second.count(), (0, 0));
}

#[tokio::test]
async fn nobody_answers() {
    let silent = Upstream::silent().await;
    let server = serve(impatient(&[&silent, &silent]), &Mesh::new()).await;
    let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), failed());
    assert_eq!(silent.count(), (2, 0));
    let reply = ask_tcp(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), failed());
}

#[tokio::test]
async fn what_is_truncated_is_asked_again_over_tcp() {
    let cut = |question: &Message| {
        let mut reply = reply(question, ResponseCode::NoError);
        reply.metadata.truncation = true;
        vec![reply.to_vec().unwrap()]
    };
    let whole = |question: &Message| {
        let mut all = answer(question, [192, 0, 2, 0]);
        for n in 1..150 {
            all.answers.append(&mut answer(question, [192, 0, 2, n]).answers);
        }
        vec![all.to_vec().unwrap()]
    };
    let upstream = Upstream::with(cut, whole).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    let plain = question("example.org.", RecordType::A);
    // (reply, answers at least, whole): what the client takes decides, not what the resolver sends.
    let with_edns = question_with_edns("example.org.", RecordType::A, 4096);
    for (reply, least, is_whole) in [
        (ask(server.address(), &plain).await, 25, false),
        (ask(server.address(), &with_edns).await, 150, true),
        (ask_tcp(server.address(), &plain).await, 150, true),
    ] {
        assert_eq!(reply.metadata.truncation, !is_whole);
        assert!(reply.answers.len() >= least, "{} answers", reply.answers.len());
    }
    assert_eq!(upstream.count(), (3, 3));
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let count = AtomicUsize::new(0);
    let way = move |question: &Message| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Vec::new(),
        _ => vec![answer(question, [192, 0, 2, 9]).to_vec().unwrap()],
    };
    let upstream = Upstream::with(way, |_| Vec::new()).await;
    let mut config = asking(&[&upstream]);
    config.patience.per_resolver = Duration::from_secs(20);
    config.patience.total = Duration::from_secs(20);
    let server = serve(config, &Mesh::new()).await;
    let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), found("192.0.2.9"));
    assert_eq!(upstream.count(), (2, 0));
}

#[tokio::test]
async fn forged_replies_are_dropped() {
    let way = |question: &Message| {
        let evil = answer(question, [6, 6, 6, 6]);
        let mut forgeries = vec![evil.clone(); 4];
        forgeries[0].metadata.id ^= 1;
        forgeries[1].queries[0].set_name(Name::from_ascii("example.com.").unwrap());
        forgeries[2].queries[0].set_query_type(RecordType::AAAA);
        forgeries[3].queries.clear();
        let mut packets: Vec<_> = forgeries.iter().map(|it| it.to_vec().unwrap()).collect();
        let mut no_reply = evil.to_vec().unwrap();
        no_reply[2] &= 0x7f;
        packets.extend([no_reply, vec![], vec![0; 5]]);
        packets.push(answer(question, [192, 0, 2, 4]).to_vec().unwrap());
        packets
    };
    let upstream = Upstream::with(way, |_| Vec::new()).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    let reply = ask(server.address(), &question("example.org.", RecordType::A)).await;
    assert_eq!(told(&reply), found("192.0.2.4"));
}

#[tokio::test]
async fn replies_of_strangers_are_dropped() {
    // A resolver that never answers itself: another socket does, with the right identifier and question.
    let heard = UdpSocket::bind(ANY).await.unwrap();
    let stranger = UdpSocket::bind(ANY).await.unwrap();
    let address = heard.local_addr().unwrap();
    let patience = Patience { per_resolver: SHORT, ..Patience::default() };
    let config = Config { upstreams: Upstreams::Fixed(vec![address]), patience, ..config() };
    let server = serve(config, &Mesh::new()).await;
    let forge = async {
        let mut buffer = [0; 512];
        let (length, asker) = heard.recv_from(&mut buffer).await.unwrap();
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let evil = answer(&question, [6, 6, 6, 6]).to_vec().unwrap();
        stranger.send_to(&evil, asker).await.unwrap();
    };
    let asked = question("example.org.", RecordType::A);
    let (reply, ()) = tokio::join!(ask(server.address(), &asked), forge);
    assert_eq!(told(&reply), failed());
}

#[tokio::test]
async fn identifiers_and_ports_differ_from_question_to_question() {
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let way = move |question: &Message| {
        noted.lock().push(question.metadata.id);
        vec![answer(question, [192, 0, 2, 5]).to_vec().unwrap()]
    };
    let upstream = Upstream::with(way, |_| Vec::new()).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    let asked = question("example.org.", RecordType::A);
    for _ in 0..8 {
        ask(server.address(), &asked).await;
    }
    let seen = seen.lock();
    // Eight equal random numbers of 16 bits do not happen.
    assert!(seen.iter().any(|id| *id != seen[0]), "{seen:?}");
    assert!(seen.iter().any(|id| *id != asked.metadata.id), "{seen:?}");
}

#[tokio::test]
async fn the_number_of_waiting_questions_is_bounded() {
    let silent = Upstream::silent().await;
    let patience = Patience { in_flight: 1, ..Patience::default() };
    let config = Config { patience, ..asking(&[&silent]) };
    let server = serve(config, &Mesh::new()).await;
    let address = server.address();
    let first = UdpSocket::bind(ANY).await.unwrap();
    let packet = question("example.org.", RecordType::A).to_vec().unwrap();
    first.send_to(&packet, address).await.unwrap();
    silent.asked.notified().await;
    let reply = ask(address, &question("example.net.", RecordType::A)).await;
    assert_eq!(told(&reply), failed());
    assert_eq!(silent.count(), (1, 0), "the second is not put to anybody");
    let reply = ask(address, &question("hello.", RecordType::AAAA)).await;
    assert_eq!(told(&reply), found("fd00::1"));
}

#[tokio::test]
async fn a_server_does_not_ask_itself() {
    for any in ["127.0.0.1:0", "0.0.0.0:0"] {
        let udp = UdpSocket::bind(any).await.unwrap();
        let mut own = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(ANY).await.unwrap();
        own.set_ip(ANY.ip());
        // Were it asked, it would wait for itself far longer than the test does.
        let patience = Patience {
            per_resolver: Duration::from_secs(600),
            total: Duration::from_secs(600),
            ..Patience::default()
        };
        let config = Config { upstreams: Upstreams::Fixed(vec![own, own]), patience, ..config() };
        let server = Server::start(udp, tcp, config, Mesh::new()).unwrap();
        let reply =
            exchange_udp(own, &question("example.org.", RecordType::A).to_vec().unwrap()).await;
        assert_eq!(told(&Message::from_vec(&reply).unwrap()), failed());
        server.stop().await;
    }
}

#[tokio::test]
async fn resolvers_and_search_domains_of_the_machine() {
    let upstream = Upstream::answering([192, 0, 2, 6]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resolv.conf");
    let text = format!("nameserver {}\nsearch corp.example\noptions ndots:5\n", upstream.address);
    std::fs::write(&path, text).unwrap();
    let config = Config { upstreams: Upstreams::ResolvConf(path), ..config() };
    let server = serve(config, &Mesh::new()).await;
    let mesh_name = format!("{HELLO}.corp.example.");
    let reply = ask(server.address(), &question(&mesh_name, RecordType::AAAA)).await;
    assert_eq!(told(&reply), found("fd00::1"));
    assert_eq!(upstream.count(), (0, 0));
    let reply = ask(server.address(), &question("git.corp.example.", RecordType::A)).await;
    assert_eq!(told(&reply), found("192.0.2.6"));
}

#[tokio::test]
async fn names_outside_of_the_mesh_that_it_knows() {
    let upstream = Upstream::answering([192, 0, 2, 7]).await;
    let server = serve(asking(&[&upstream]), &Mesh::new()).await;
    for (name, expected) in [
        ("example.com.", vec!["192.0.2.7"]),
        ("example.com.default.svc.cluster.local.", vec!["example.com.", "192.0.2.7"]),
        ("moved.example.net.", vec!["target.example.org.", "192.0.2.7"]),
    ] {
        let asked = question(name, RecordType::A);
        for reply in [ask(server.address(), &asked).await, ask_tcp(server.address(), &asked).await]
        {
            let expected = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(told(&reply), (ResponseCode::NoError, expected), "{name}");
            assert!(reply.answers[0].name.eq_case(asked.queries[0].name()));
        }
    }
}

#[tokio::test]
async fn questions_that_wait_are_answered_before_the_server_stops() {
    let upstream = UdpSocket::bind(ANY).await.unwrap();
    let upstreams = Upstreams::Fixed(vec![upstream.local_addr().unwrap()]);
    let limits = Limits { grace: Duration::from_secs(20), ..Limits::default() };
    let patience = Patience { per_resolver: Duration::from_secs(20), ..Patience::default() };
    let server = serve(Config { upstreams, limits, patience, ..config() }, &Mesh::new()).await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let asked = question("example.org.", RecordType::A);
    let client = tokio::spawn(async move { told(&ask(address, &asked).await) });
    let mut buffer = [0; 512];
    let (length, asker) = upstream.recv_from(&mut buffer).await.unwrap();

    let stop = tokio::spawn(server.stop());
    assert!(receive(&mut idle).await.is_none(), "the stop has begun");
    let reply = answer(&Message::from_vec(&buffer[..length]).unwrap(), [192, 0, 2, 8]);
    upstream.send_to(&reply.to_vec().unwrap(), asker).await.unwrap();
    assert_eq!(client.await.unwrap(), found("192.0.2.8"));
    stop.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_its_grace() {
    let silent = Upstream::silent().await;
    let limits = Limits { grace: SHORT, ..Limits::default() };
    let patience = Patience {
        per_resolver: Duration::from_secs(600),
        total: Duration::from_secs(600),
        ..Patience::default()
    };
    let config = Config { limits, patience, ..asking(&[&silent]) };
    let server = serve(config, &Mesh::new()).await;
    let socket = UdpSocket::bind(ANY).await.unwrap();
    let packet = question("example.org.", RecordType::A).to_vec().unwrap();
    socket.send_to(&packet, server.address()).await.unwrap();
    silent.asked.notified().await;
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.stop()).await;
    stopped.expect("the end of the grace time");
}
