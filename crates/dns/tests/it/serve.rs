//! Names of the mesh over UDP and TCP.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use meltemi_dns::{Error, Resolution, Server};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::client::{ask, ask_tcp, question, question_with_edns, receive, send, told};
use crate::mesh::{ANY, HELLO, Mesh, config, serve};

fn addresses(count: u8) -> Vec<String> {
    (1..=count).map(|n| format!("10.1.1.{n}")).collect()
}

#[tokio::test]
async fn the_same_answers_over_udp_and_tcp() {
    let server = serve(config(), &Mesh::new()).await;
    for (name, wanted, code, expected) in [
        (HELLO, RecordType::AAAA, ResponseCode::NoError, vec!["fd00::1"]),
        ("hello", RecordType::AAAA, ResponseCode::NoError, vec!["fd00::1"]),
        (HELLO, RecordType::MX, ResponseCode::NoError, vec![]),
        ("x.default.svc.cluster.local", RecordType::A, ResponseCode::NXDomain, vec![]),
        ("localhost", RecordType::A, ResponseCode::NoError, vec!["127.0.0.1"]),
    ] {
        let question = question(&format!("{name}."), wanted);
        for reply in
            [ask(server.address(), &question).await, ask_tcp(server.address(), &question).await]
        {
            let expected = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(told(&reply), (code, expected), "{name} {wanted}");
            assert!(reply.metadata.authoritative);
            assert_eq!(reply.authorities.len(), usize::from(reply.answers.is_empty()));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn ports_come_with_the_addresses_of_their_endpoints() {
    let server = serve(config(), &Mesh::new()).await;
    let name = format!("_http._tcp.{HELLO}.");
    let reply = ask(server.address(), &question(&name, RecordType::SRV)).await;
    assert_eq!((reply.answers.len(), reply.additionals.len()), (4, 4));
    for (answer, additional) in reply.answers.iter().zip(&reply.additionals) {
        let RData::SRV(srv) = &answer.data else { panic!("{answer} is no SRV record") };
        assert_eq!((srv.priority, srv.port), (0, 8000));
        let target = srv.target.to_ascii();
        let found = ask(server.address(), &question(&target, additional.record_type())).await;
        assert_eq!(found.answers, std::slice::from_ref(additional));
    }
}

#[tokio::test]
async fn each_endpoint_comes_first_in_its_turn() {
    let server = serve(config(), &Mesh::new()).await;
    let mut firsts = Vec::new();
    for _ in 0..6 {
        let reply = ask(server.address(), &question("hello.", RecordType::A)).await;
        let (_, answers) = told(&reply);
        assert_eq!(answers.len(), 3);
        firsts.push(answers[0].clone());
    }
    assert_eq!(firsts[..3], firsts[3..]);
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
}

#[tokio::test]
async fn answers_follow_the_registry() {
    let mesh = Mesh::new();
    let server = serve(config(), &mesh).await;
    let asked = question(&format!("{HELLO}."), RecordType::A);
    assert_eq!(told(&ask(server.address(), &asked).await).1.len(), 3);
    mesh.put(HELLO, Resolution::Static, &["10.0.0.9"]);
    assert_eq!(told(&ask(server.address(), &asked).await).1, ["10.0.0.9"]);
    mesh.put(HELLO, Resolution::Static, &[]);
    let none = (ResponseCode::NoError, vec![]);
    assert_eq!(told(&ask(server.address(), &asked).await), none);
}

#[tokio::test]
async fn what_does_not_fit_over_udp_comes_over_tcp() {
    let mesh = Mesh::new();
    mesh.put_many(HELLO, 150);
    let server = serve(config(), &mesh).await;
    let name = format!("{HELLO}.");
    for (asked, whole) in [
        (question(&name, RecordType::A), false),
        (question_with_edns(&name, RecordType::A, 512), false),
        (question_with_edns(&name, RecordType::A, 1232), false),
        (question_with_edns(&name, RecordType::A, 4096), true),
    ] {
        let reply = ask(server.address(), &asked).await;
        assert_eq!(reply.metadata.truncation, !whole);
        assert_eq!(reply.edns.is_some(), asked.edns.is_some());
        let reply = ask_tcp(server.address(), &asked).await;
        assert!(!reply.metadata.truncation);
        let (_, mut answers) = told(&reply);
        let mut expected = addresses(150);
        answers.sort();
        expected.sort();
        assert_eq!(answers, expected);
    }
}

#[tokio::test]
async fn one_connection_carries_many_questions() {
    let server = serve(config(), &Mesh::new()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let questions: Vec<_> =
        (0..20).map(|n| question(&format!("w{}.{HELLO}.", n % 3), RecordType::A)).collect();
    for question in &questions {
        send(&mut stream, &question.to_vec().unwrap()).await;
    }
    for (n, question) in questions.iter().enumerate() {
        let reply = receive(&mut stream).await.unwrap();
        assert_eq!(reply.metadata.id, question.metadata.id);
        assert_eq!(told(&reply).1, [format!("10.0.0.{}", n % 3 + 1)]);
    }
}

#[tokio::test]
async fn sockets_of_the_caller_are_served() {
    let udp = UdpSocket::bind(ANY).await.unwrap();
    let tcp = TcpListener::bind(ANY).await.unwrap();
    let tcp_address = tcp.local_addr().unwrap();
    let server = Server::start(udp, tcp, config(), Mesh::new()).unwrap();
    let asked = question("hello.", RecordType::AAAA);
    assert_eq!(told(&ask(server.address(), &asked).await).1, ["fd00::1"]);
    assert_eq!(told(&ask_tcp(tcp_address, &asked).await).1, ["fd00::1"]);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let server = serve(config(), &Mesh::new()).await;
    let error = Server::bind(server.address(), config(), Mesh::new()).await.unwrap_err();
    assert!(matches!(error, Error::Bind { .. }));
    let message = error.to_string();
    assert!(message.contains(&server.address().to_string()), "{message}");
    assert!(message.contains("--dns"), "{message}");
}

#[tokio::test]
async fn a_stopped_server_leaves_its_port_and_its_idle_connections() {
    let server = serve(config(), &Mesh::new()).await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    send(&mut idle, &question("hello.", RecordType::A).to_vec().unwrap()).await;
    assert!(receive(&mut idle).await.is_some());
    tokio::time::timeout(Duration::from_secs(20), server.stop()).await.expect("the end");
    assert!(receive(&mut idle).await.is_none(), "the connection is closed");
    UdpSocket::bind(address).await.expect("the UDP port is free");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}
