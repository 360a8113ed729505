//! Other name servers, good and bad, on loopback.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, Metadata, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata::A};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::mesh::ANY;

/// What a resolver sends for a question, in this order; nothing where it is silent.
type Behaviour = dyn Fn(&Message) -> Vec<Vec<u8>> + Send + Sync;

/// A resolver that is ended with this value.
pub struct Upstream {
    pub address: SocketAddr,
    /// How many questions came over UDP.
    pub udp: Arc<AtomicUsize>,
    /// How many questions came over TCP.
    pub tcp: Arc<AtomicUsize>,
    /// Told at each question.
    pub asked: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Behaves over UDP and TCP in these ways.
    pub async fn with(
        udp_way: impl Fn(&Message) -> Vec<Vec<u8>> + Send + Sync + 'static,
        tcp_way: impl Fn(&Message) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Upstream {
        let (socket, listener) = bind_both().await;
        let address = socket.local_addr().unwrap();
        let (udp, tcp) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let asked = Arc::<Notify>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(socket, Box::new(udp_way), udp.clone(), asked.clone()));
        tasks.spawn(serve_tcp(listener, Box::new(tcp_way), tcp.clone()));
        Upstream { address, udp, tcp, asked, _tasks: tasks }
    }

    /// Answers every question with this address.
    pub async fn answering(ip: [u8; 4]) -> Upstream {
        let way = move |question: &Message| vec![answer(question, ip).to_vec().unwrap()];
        Upstream::with(way, way).await
    }

    /// Says this code to every question.
    pub async fn failing(code: ResponseCode) -> Upstream {
        let way = move |question: &Message| vec![reply(question, code).to_vec().unwrap()];
        Upstream::with(way, way).await
    }

    /// Hears every question and says nothing.
    pub async fn silent() -> Upstream {
        Upstream::with(|_| Vec::new(), |_| Vec::new()).await
    }

    /// How many questions came over UDP and over TCP.
    pub fn count(&self) -> (usize, usize) {
        (self.udp.load(Ordering::Relaxed), self.tcp.load(Ordering::Relaxed))
    }
}

/// A reply without records.
pub fn reply(question: &Message, code: ResponseCode) -> Message {
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.response_code = code;
    reply.add_queries(question.queries.iter().cloned());
    reply.edns = question.edns.clone();
    reply
}

/// A reply with an address.
pub fn answer(question: &Message, ip: [u8; 4]) -> Message {
    let mut reply = reply(question, ResponseCode::NoError);
    let name = question.queries[0].name().clone();
    reply.add_answer(Record::from_rdata(name, 300, RData::A(A(ip.into()))));
    reply
}

async fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let socket = UdpSocket::bind(ANY).await.unwrap();
        match TcpListener::bind(socket.local_addr().unwrap()).await {
            Ok(listener) => return (socket, listener),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
    }
}

async fn serve_udp(
    socket: UdpSocket,
    way: Box<Behaviour>,
    count: Arc<AtomicUsize>,
    asked: Arc<Notify>,
) {
    let mut buffer = vec![0; 65535];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
        let question = Message::from_vec(&buffer[..length]).unwrap();
        asked.notify_one();
        for reply in way(&question) {
            socket.send_to(&reply, client).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, way: Box<Behaviour>, count: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
        // A client that goes away is none of this server's concern.
        let _ = serve_connection(&mut stream, &way).await;
    }
}

async fn serve_connection(stream: &mut TcpStream, way: &Behaviour) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; length.into()];
    stream.read_exact(&mut question).await?;
    for reply in way(&Message::from_vec(&question).unwrap()) {
        stream.write_u16(reply.len().try_into().unwrap()).await?;
        stream.write_all(&reply).await?;
    }
    Ok(())
}
