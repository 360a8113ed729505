//! A client that writes and reads messages itself.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::mesh::ANY;

/// After this a test has failed. Nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A question as resolvers send it.
pub fn question(name: &str, wanted: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), wanted));
    message
}

/// The same with EDNS.
pub fn question_with_edns(name: &str, wanted: RecordType, payload: u16) -> Message {
    let mut message = question(name, wanted);
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

/// The bytes that come back for some bytes.
pub async fn exchange_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind(ANY).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(packet).await.unwrap();
    let mut reply = vec![0; 65535];
    let length = timeout(PATIENCE, socket.recv(&mut reply)).await.expect("a reply").unwrap();
    reply.truncate(length);
    reply
}

/// Asks over UDP.
pub async fn ask(server: SocketAddr, message: &Message) -> Message {
    let reply = exchange_udp(server, &message.to_vec().unwrap()).await;
    checked(message, Message::from_vec(&reply).unwrap())
}

/// Asks over a TCP connection of its own.
pub async fn ask_tcp(server: SocketAddr, message: &Message) -> Message {
    let mut stream = TcpStream::connect(server).await.unwrap();
    send(&mut stream, &message.to_vec().unwrap()).await;
    checked(message, receive(&mut stream).await.expect("a reply"))
}

/// Writes a message to a connection.
pub async fn send(stream: &mut TcpStream, packet: &[u8]) {
    stream.write_u16(packet.len().try_into().unwrap()).await.unwrap();
    stream.write_all(packet).await.unwrap();
}

/// The next message of a connection; `None` if it was closed.
pub async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let read = async {
        let length = stream.read_u16().await.ok()?;
        let mut reply = vec![0; length.into()];
        stream.read_exact(&mut reply).await.ok()?;
        Some(Message::from_vec(&reply).unwrap())
    };
    timeout(PATIENCE, read).await.expect("a reply, or the end of the connection")
}

fn checked(message: &Message, reply: Message) -> Message {
    assert_eq!(reply.metadata.id, message.metadata.id);
    assert_eq!(reply.queries.len(), 1);
    assert_eq!(reply.queries[0].query_type(), message.queries[0].query_type());
    assert!(reply.queries[0].name().eq_case(message.queries[0].name()));
    assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
    reply
}

/// The code of a reply, and the data of its answers.
pub fn told(reply: &Message) -> (ResponseCode, Vec<String>) {
    let answers = reply.answers.iter().map(|record| record.data.to_string()).collect();
    (reply.metadata.response_code, answers)
}
