//! What clients cannot do to the server.

use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;
use meltemi_dns::{Config, Limits};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

use crate::client::{ask, ask_tcp, exchange_udp, question, receive, send, told};
use crate::mesh::{ANY, Mesh, config, serve};

fn limited(limits: Limits) -> Config {
    Config { limits, ..config() }
}

#[tokio::test]
async fn a_connection_without_a_whole_question_is_closed() {
    let limits = Limits { tcp_idle: Duration::from_millis(100), ..Limits::default() };
    let server = serve(limited(limits), &Mesh::new()).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(&[0, 40, 1, 2, 3]).await.unwrap();
    assert!(receive(&mut silent).await.is_none());
    assert!(receive(&mut half).await.is_none());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let limits = Limits { tcp_connections: 2, ..Limits::default() };
    let server = serve(limited(limits), &Mesh::new()).await;
    let asked = question("hello.", RecordType::AAAA);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        send(&mut stream, &asked.to_vec().unwrap()).await;
        assert!(receive(&mut stream).await.is_some());
        held.push(stream);
    }
    let mut third = TcpStream::connect(server.address()).await.unwrap();
    assert!(receive(&mut third).await.is_none());
    assert_eq!(told(&ask(server.address(), &asked).await).1, ["fd00::1"], "UDP goes on");

    held.pop();
    // The server hears of the free place when it sees the end of that connection.
    let comes_in = async {
        loop {
            let mut stream = TcpStream::connect(server.address()).await.unwrap();
            let packet = asked.to_vec().unwrap();
            let sent = stream.write_all(&[&[0, packet.len() as u8], &packet[..]].concat()).await;
            if sent.is_ok() && receive(&mut stream).await.is_some() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), comes_in).await.expect("a free place");
}

#[tokio::test]
async fn a_question_that_is_too_long_ends_the_connection() {
    let limits = Limits { question: 100, ..Limits::default() };
    let server = serve(limited(limits), &Mesh::new()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&[0, 101]).await.unwrap();
    assert!(receive(&mut stream).await.is_none());
    assert_eq!(
        told(&ask_tcp(server.address(), &question("hello.", RecordType::AAAA)).await).1.len(),
        1
    );
}

#[tokio::test]
async fn garbage_is_told_so_and_does_no_harm() {
    let server = serve(config(), &Mesh::new()).await;
    let mut garbage = question("hello.", RecordType::A).to_vec().unwrap();
    garbage.truncate(15);
    let reply = Message::from_vec(&exchange_udp(server.address(), &garbage).await).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::FormErr);

    let mut notify = question("hello.", RecordType::A);
    notify.metadata.op_code = OpCode::Notify;
    let notify = notify.to_vec().unwrap();
    let reply = Message::from_vec(&exchange_udp(server.address(), &notify).await).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::NotImp);

    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    send(&mut stream, &garbage).await;
    let reply = receive(&mut stream).await.unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::FormErr);

    // Not answered: too short, empty, and a response. The question behind them is the first with a reply.
    let socket = UdpSocket::bind(ANY).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    let mut response = question("hello.", RecordType::A).to_vec().unwrap();
    response[2] |= 0x80;
    let asked = question("hello.", RecordType::AAAA);
    for packet in [&[1, 2, 3][..], &[], &response, &asked.to_vec().unwrap()] {
        socket.send(packet).await.unwrap();
    }
    let mut buffer = [0; 512];
    let received = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut buffer)).await;
    let length = received.expect("a reply").unwrap();
    let reply = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(reply.metadata.id, asked.metadata.id);
}
